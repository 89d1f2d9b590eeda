import { type CoefficientRow, coefficientColumns } from "../diffusion/noise-schedule.ts";
import { float32, type NDArray } from "../ndarray.ts";
import type { Evaluation, Solver } from "../samplers/solver.ts";
import type { MakePredictor } from "./step-graph.ts";

/** Where in a drawing the predictor is evaluated. */
export interface Place {
  /** 1 ... steps, counted from pure noise: a drawing that starts from a picture begins at a later step. */
  readonly step: number;
  readonly steps: number;
  /** The noise level: x_t = alpha x_0 + sigma eps. */
  readonly alpha: number;
  readonly sigma: number;
  /** What networks see as time there. */
  readonly timestep: number;
}

/** What may change along a drawing. */
export interface Changes<W, S extends string, M extends string> {
  /**
   * A function that makes the predictor from the weights; it is traced once. With `at`, a choice among several such functions for each
   * evaluation: each of them is compiled to one program, so `at` returns the same functions again and makes no new ones.
   */
  readonly predictor:
    | MakePredictor<W, S, M>
    | {
        /** The predictor that is asked at a place. */
        readonly at: (place: Place) => MakePredictor<W, S, M>;
      };
  /** Numbers for the predictor that change along the drawing, such as the scale of guidance, by name. None by default. */
  readonly scales?: (place: Place) => Readonly<Record<S, number>>;
}

/** An evaluation of the solver with its predictor and its scales. */
export interface Planned extends Pick<Evaluation, "noisy"> {
  readonly predictor: MakePredictor<never, string, string>;
  readonly coefficients: CoefficientRow;
  readonly numbers: Readonly<Record<string, number>>;
  readonly scales: Readonly<Record<string, number>>;
}

/**
 * The evaluations of each step, with predictor and scales.
 *
 * @param all number of steps of a drawing from pure noise; the solver's plan holds the last of these
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

/** Names of all scales in a plan. */
export const scaleNames = (plan: ReturnType<typeof planOf>): string[] => [
  ...new Set(plan.flat().flatMap(({ scales }) => Object.keys(scales))),
];

/**
 * The inputs of a program that depend on the evaluation alone, the same for all images of a batch.
 *
 * @param names names of the scales; a scale that this evaluation lacks is NaN, which shows if the predictor reads it after all
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
