import type { CoefficientRow } from "../diffusion/noise-schedule.ts";
import { perImage } from "../diffusion/process.ts";
import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Solver, SolverStep } from "./solver.ts";

/**
 * A sum of images, by their factors: `x`, at which the predictor was asked; `x0`, the image that it then expected; `noise`; and
 * what the solver remembers, by the names that it gave.
 */
export type Sum = Readonly<Record<string, number>>;

export const times = (factor: number, sum: Sum): Sum =>
  Object.fromEntries(Object.entries(sum).map(([source, value]) => [source, factor * value]));

export const plus = (a: Sum, b: Sum): Sum => ({
  ...a,
  ...Object.fromEntries(Object.entries(b).map(([source, value]) => [source, (a[source] ?? 0) + value])),
});

/** An evaluation of a linear solver: what its numbers do. */
export interface LinearEvaluation {
  /** Of the noise level at which the predictor is asked. */
  readonly coefficients: CoefficientRow;
  /** More noise before the predictor is asked: x becomes a sum of `x` and `noise`. Left out, x stays. */
  readonly raised?: Sum;
  /** The next x. */
  readonly next: Sum;
  /** What the next evaluation finds in memory; what is left out is zero. */
  readonly memory?: Readonly<Record<string, Sum>>;
}

/**
 * Solvers of the diffusion's ODE or SDE differ in their factors alone: each next x is a sum of x, the predicted image, earlier ones
 * and noise. So one traced step serves them all, and a solver is a table of factors, made in float64.
 *
 * @param evaluations those of each step, from the most noise to the picture
 * @throws UsageError for a sum of something that is neither `x`, `x0`, `noise` nor in memory
 */
export function linearSolver(evaluations: readonly (readonly LinearEvaluation[])[]): Solver {
  const all = evaluations.flat();
  const memory = [...new Set(all.flatMap((evaluation) => Object.keys(evaluation.memory ?? {})))];
  const raises = all.some(({ raised }) => raised);
  const known = ["x", "x0", "noise", ...memory];
  for (const { next, raised = {}, memory: kept = {} } of all)
    for (const name of [next, raised, ...Object.values(kept)].flatMap(Object.keys))
      if (!known.includes(name))
        throw new UsageError(`a solver's sums are of ${known.join(", ")}, but one has "${name}"`);
  const plan = evaluations.map((step) =>
    step.map(({ coefficients, raised = { x: 1 }, next, memory: kept = {} }) => {
      const sums = { ...(raises && { raised }), next, ...kept };
      const numbers = Object.fromEntries(
        Object.entries(sums).flatMap(([target, sum]) =>
          Object.entries(sum).map(([source, factor]) => [`${target}.${source}`, factor]),
        ),
      );
      const noisy = Object.values(sums).some(({ noise = 0 }) => noise !== 0);
      return { coefficients, numbers, noisy };
    }),
  );
  const used = new Set(
    plan.flat().flatMap(({ numbers }) => Object.keys(numbers).filter((name) => numbers[name] !== 0)),
  );
  const numbers = [...used];
  // Every evaluation has every number: a factor that it leaves out is zero.
  const zeros = Object.fromEntries(numbers.map((name) => [name, 0]));
  return {
    step: linearStep(memory),
    memory,
    numbers,
    plan: plan.map((step) =>
      step.map((evaluation) => ({
        ...evaluation,
        numbers: Object.fromEntries(
          Object.entries({ ...zeros, ...evaluation.numbers }).filter(([name]) => used.has(name)),
        ),
      })),
    ),
  };
}

const linearStep =
  (slots: readonly string[]): SolverStep =>
  (predictor, { x, noise, coefficients, condition, memory = {}, numbers = {} }) => {
    const sum = (target: string, images: Readonly<Record<string, Tensor>>): Tensor | undefined => {
      const terms = Object.entries(images).flatMap(([source, image]) => {
        const factor = numbers[`${target}.${source}`];
        return factor ? [image.mul(perImage(factor, image))] : [];
      });
      return terms.length > 0 ? terms.reduce((a, b) => a.add(b)) : undefined;
    };
    const at = sum("raised", { x, noise }) ?? x;
    const { x0 } = predictor(at, coefficients, condition);
    const images = { x: at, x0, noise, ...memory };
    const result = (target: string): Tensor => sum(target, images) ?? x.mul(0);
    return { x: result("next"), x0, memory: Object.fromEntries(slots.map((slot) => [slot, result(slot)])) };
  };
