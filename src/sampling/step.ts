import type { Coefficients } from "../diffusion/noise-schedule.ts";
import type { Condition, Predictor } from "../guidance/predictor.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What one step starts from; the inputs of its program. */
export interface StepInputs {
  /** x_t, [N, C, H, W]. */
  readonly x: Tensor;
  /** Standard normal, of x's shape. Where a step is deterministic it has no effect. */
  readonly noise: Tensor;
  /** Those of each image's place in the chain: of the noise level at which the predictor is asked. */
  readonly coefficients: Coefficients;
  readonly condition: Condition;
  /** What a solver's earlier steps left for this one, each of x's shape; zeros at first. */
  readonly memory?: Readonly<Record<string, Tensor>>;
  /** The solver's own numbers of this step, each [N]. */
  readonly numbers?: Readonly<Record<string, Tensor>>;
}

/** The next x, the image that the step expected at the end, and what the next step should know. An alias and no interface, so that `trace` takes it for a tree. */
export type StepResult = {
  readonly x: Tensor;
  readonly x0: Tensor;
  readonly memory?: Readonly<Record<string, Tensor>>;
};

/** One step of a sampler: traced, pure, and asking the predictor once. A solver that asks twice has steps of two such parts. */
export type Step = (predictor: Predictor, inputs: StepInputs) => StepResult;
