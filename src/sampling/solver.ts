import { type CoefficientRow, coefficientRow, type NoiseSchedule } from "../diffusion/noise-schedule.ts";
import type { Step } from "./step.ts";

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
  readonly step: Step;
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
