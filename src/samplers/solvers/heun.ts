import { type NoiseLevel, noiseRatio } from "../../diffusion/noise-level.ts";
import { coefficientRow } from "../../diffusion/noise-schedule.ts";
import { type LinearEvaluation, linearSolver, type Sum } from "../linear.ts";
import { defineSampler } from "../sampler.ts";
import { churn, eulerSteps } from "./churn.ts";

/**
 * Heun's method, algorithm 1 of Karras et al. 2022: it asks again where Euler's step ends, and takes the step with the mean of both
 * slopes. Second order, two evaluations for each step but the last.
 */
export const heun = defineSampler({
  kind: "heun",
  note: "Heun's method, two runs of the network a step; churn as of euler",
  settings: { churn },
  steps: 18,
  levels: "karras",
  solver: (schedule, { churn }) => {
    const steps = eulerSteps(schedule, churn).map(({ from, to, evaluation }, index): LinearEvaluation[] => {
      // The way from pure noise, and that to the picture, are Euler's: there is no slope at their other end.
      if (!to || from.alpha === 0) return [evaluation];
      return [
        { ...evaluation, memory: { start: { x: 1 }, first: { x0: 1 } } },
        { coefficients: coefficientRow(schedule, index - 1), next: heunSum(from, to) },
      ];
    });
    return linearSolver(steps.reverse());
  },
});

/** z' = z + (r' - r) / 2 times the sum of both slopes, where z and x0 of the first are remembered. */
function heunSum(from: Level, to: Level): Sum {
  const [r, end] = [noiseRatio(from), noiseRatio(to)];
  const half = (end - r) / 2;
  return {
    start: (to.alpha / from.alpha) * (1 + half / r),
    first: (-to.alpha * half) / r,
    x: half / end,
    x0: (-to.alpha * half) / end,
  };
}

type Level = Pick<NoiseLevel, "alpha" | "sigma">;
