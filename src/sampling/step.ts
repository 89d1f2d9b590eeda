import type { Coefficients } from "../diffusion/chain.ts";
import type { Condition, Predictor } from "../guidance/predictor.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What one step starts from; the inputs of its program. */
export interface StepInputs {
  /** x_t, [N, C, H, W]. */
  readonly x: Tensor;
  /** Standard normal, of x's shape. Where a step is deterministic it has no effect. */
  readonly noise: Tensor;
  /** Those of each image's place in the chain. */
  readonly coefficients: Coefficients;
  readonly condition: Condition;
}

/** The next x, and the image that the step expected at the end. An alias and no interface, so that `trace` takes it for a tree. */
export type StepResult = { readonly x: Tensor; readonly x0: Tensor };

/** One step of a sampler: traced, pure, and asking the predictor once. */
export type Step = (predictor: Predictor, inputs: StepInputs) => StepResult;
