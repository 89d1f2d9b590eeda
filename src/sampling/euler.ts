import { type NoiseLevel, type NoiseRange, noiseless, noiseRange, noiseRatio } from "../diffusion/noise-level.ts";
import { coefficientRow, type NoiseSchedule, scheduleOfLevels } from "../diffusion/noise-schedule.ts";
import { type LinearEvaluation, linearSolver, type Sum } from "./linear.ts";
import type { Solver } from "./solver.ts";

/**
 * Euler's and Heun's methods for the probability flow, with churn. Algorithms 1 and 2, Karras et al. 2022. In z = x / alpha and
 * r = sigma / alpha the flow of every Gaussian process is dz / dr = (z - x0(x)) / r, so both serve all of them.
 *
 * Euler asks the predictor once for each step, and is of first order; without churn it is DDIM. Heun asks again where Euler's step
 * ends, but for the last one, and is of second order.
 */
export interface EulerOptions {
  readonly method: "euler" | "heun";
  /**
   * S_churn: noise that is added before each step, spread over all steps, and removed by it. 0 is deterministic; it is cut off at
   * what makes the noise of a step sqrt(2) times as large.
   */
  readonly churn: number;
}

/** The most by which churn raises the noise of a step. */
const mostRaise = Math.SQRT2 - 1;

export function eulerSolver(chain: NoiseSchedule, { method, churn }: EulerOptions): Solver {
  const { config, levels } = chain;
  const range = noiseRange(config);
  const raise = Math.min(churn / levels.length, mostRaise);
  const steps = levels.map((level, index) => {
    const to = levels[index - 1];
    const from = raise > 0 ? raised(level, raise, range) : level;
    const here = scheduleOfLevels(config, to ? [to, from] : [from]);
    const noise = from.alpha * Math.sqrt(Math.max(noiseRatio(from) ** 2 - noiseRatio(level) ** 2, 0));
    const first: LinearEvaluation = {
      coefficients: coefficientRow(here, to ? 1 : 0),
      ...(from !== level && { raised: { x: from.alpha / level.alpha, noise } }),
      next: eulerSum(from, to ?? noiseless),
    };
    // The way from pure noise, and that to the picture, are Euler's: there is no slope at their other end.
    if (method === "euler" || !to || from.alpha === 0) return [first];
    return [
      { ...first, memory: { start: { x: 1 }, first: { x0: 1 } } },
      { coefficients: coefficientRow(chain, index - 1), next: heunSum(from, to) },
    ];
  });
  return linearSolver(steps.reverse());
}

/** The level with more noise, as far as the model knows it. */
function raised(level: NoiseLevel, raise: number, range: NoiseRange): NoiseLevel {
  const ratio = Math.min(noiseRatio(level) * (1 + raise), range.highest);
  return ratio > noiseRatio(level) && level.alpha > 0 ? range.at(ratio) : level;
}

/** Straight along the slope: z' = z + (r' - r) (z - x0) / r, the deterministic step of DDIM. */
const eulerSum = (from: Level, to: Level): Sum => {
  const kept = to.sigma / from.sigma;
  return { x: kept, x0: to.alpha - from.alpha * kept };
};

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
