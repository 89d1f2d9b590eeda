import {
  type CoefficientRow,
  type Coefficients,
  coefficientRow,
  type NoiseSchedule,
} from "../diffusion/noise-schedule.ts";
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
  /** What the pictures are asked to be. */
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
export type SolverStep = (predictor: Predictor, inputs: StepInputs) => StepResult;

/** One question to the predictor, and what a solver makes of the answer: one run of its step's program. */
export interface Evaluation {
  /** Of the noise level at which the predictor is asked. */
  readonly coefficients: CoefficientRow;
  /** The solver's own numbers. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Does the noise that the step is given have an effect? */
  readonly noisy: boolean;
}

/** A sampler on the levels of a chain: what its step computes, and with which numbers. Everything else is the loop's. */
export interface Solver {
  /** One evaluation, traced. */
  readonly step: SolverStep;
  /** Names of what the step remembers, and of its own numbers. */
  readonly memory: readonly string[];
  readonly numbers: readonly string[];
  /** From the most noise to the picture: for each step the evaluations that it is made of. Step k leads to the chain's level length - 1 - k. */
  readonly plan: readonly (readonly Evaluation[])[];
}

/** The plan of a step that remembers nothing and whose numbers are the coefficients of its place in the chain. */
export const plainPlan = (
  chain: NoiseSchedule,
  { noisy, eta = 0 }: { readonly noisy: boolean; readonly eta?: number },
): Solver["plan"] =>
  chain.levels
    .map((_, index) => [{ coefficients: coefficientRow(chain, index, { eta }), numbers: {}, noisy }])
    .reverse();
