import { type CoefficientRow, coefficientColumns } from "../diffusion/noise-schedule.ts";
import { float32, type NDArray } from "../ndarray.ts";
import type { Evaluation, Solver } from "../samplers/solver.ts";
import type { MakePredictor } from "./step-graph.ts";

/** The place of an evaluation in a drawing. */
export interface Place {
  /** 1 ... steps, as in a drawing from pure noise: one that starts from a picture begins later. */
  readonly step: number;
  readonly steps: number;
  /** The noise level at which the predictor is asked: x_t = alpha x_0 + sigma eps. */
  readonly alpha: number;
  readonly sigma: number;
  /** What networks see as time there. */
  readonly timestep: number;
}

/** What may change from place to place. */
export interface Changes<W, S extends string, M extends string> {
  /**
   * What the solver asks: a function that makes it of the weights, traced once. Or, where predictors change along the way, which of
   * them is asked `at` a place; each function that this gives becomes one program.
   */
  readonly predictor: MakePredictor<W, S, M> | { readonly at: (place: Place) => MakePredictor<W, S, M> };
  /** Numbers that the predictor is made of and that change from place to place. None by default. */
  readonly scales?: (place: Place) => Readonly<Record<S, number>>;
}

/** An evaluation, and the predictor that is asked. */
export interface Planned extends Pick<Evaluation, "noisy"> {
  readonly predictor: MakePredictor<never, string, string>;
  readonly coefficients: CoefficientRow;
  readonly numbers: Readonly<Record<string, number>>;
  readonly scales: Readonly<Record<string, number>>;
}

/**
 * Who is asked at each evaluation of a solver, and with which numbers.
 *
 * @param all steps of a drawing from pure noise, of which the solver's plan holds the last
 */
export const planOf = (
  { plan }: Solver,
  all: number,
  { predictor, scales }: Changes<never, string, string>,
): readonly (readonly Planned[])[] =>
  plan.map((evaluations, done) =>
    evaluations.map((evaluation) => {
      const { alpha, sigma, timestep } = evaluation.coefficients;
      const place = { step: all - plan.length + done + 1, steps: all, alpha, sigma, timestep };
      const asked = typeof predictor === "function" ? predictor : predictor.at(place);
      return { ...evaluation, predictor: asked, scales: scales?.(place) ?? {} };
    }),
  );

/** Every scale that some evaluation has. */
export const scaleNames = (plan: ReturnType<typeof planOf>): string[] => [
  ...new Set(plan.flat().flatMap(({ scales }) => Object.keys(scales))),
];

/**
 * The inputs of a program that depend on the evaluation alone, the same for all images of a batch.
 *
 * @param names those of the scales: where an evaluation leaves one out it is NaN, for predictors that don't read it
 */
export function inputsOf({ coefficients, numbers, scales }: Planned, size: number, names: readonly string[]) {
  const filled = (count: number, value: number): NDArray<"float32"> =>
    float32([count], new Float32Array(count).fill(value));
  return {
    coefficients: coefficientColumns(new Array<CoefficientRow>(size).fill(coefficients)),
    numbers: Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, filled(size, value)])),
    scales: Object.fromEntries(names.map((name) => [name, filled(1, scales[name] ?? Number.NaN)])),
  };
}
