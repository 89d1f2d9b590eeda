import { type NoiseLevel, type NoiseRange, noiseless, noiseRange, noiseRatio } from "../../diffusion/noise-level.ts";
import { coefficientRow, type NoiseSchedule, scheduleOfLevels } from "../../diffusion/noise-schedule.ts";
import { number } from "../../setting.ts";
import type { LinearEvaluation, Sum } from "../linear.ts";

/**
 * S_churn of Karras et al. 2022: noise that is added before each step, spread over all steps, and removed by it. 0 is deterministic; it
 * is cut off at what makes the noise of a step sqrt(2) times as large.
 */
export const churn = number("noise that is added and removed again, over all steps", { from: 0, off: 0, cost: "none" });

/** The most by which churn raises the noise of a step. */
const mostRaise = Math.SQRT2 - 1;

type Level = Pick<NoiseLevel, "alpha" | "sigma">;

/**
 * Steps of Euler's method for the probability flow, with churn. Algorithm 2, Karras et al. 2022. In z = x / alpha and r = sigma / alpha
 * the flow of every Gaussian process is dz / dr = (z - x0(x)) / r, so it serves all of them.
 *
 * @returns for each level, from the least noise, the step's evaluation and the level at which it is made
 */
export function eulerSteps(
  schedule: NoiseSchedule,
  churn: number,
): { readonly from: NoiseLevel; readonly to: NoiseLevel | undefined; readonly evaluation: LinearEvaluation }[] {
  const { config, levels } = schedule;
  const range = noiseRange(config);
  const raise = Math.min(churn / levels.length, mostRaise);
  return levels.map((level, index) => {
    const to = levels[index - 1];
    const from = raise > 0 ? raised(level, raise, range) : level;
    const here = scheduleOfLevels(config, to ? [to, from] : [from]);
    const noise = from.alpha * Math.sqrt(Math.max(noiseRatio(from) ** 2 - noiseRatio(level) ** 2, 0));
    const evaluation: LinearEvaluation = {
      coefficients: coefficientRow(here, to ? 1 : 0),
      ...(from !== level && { raised: { x: from.alpha / level.alpha, noise } }),
      next: eulerSum(from, to ?? noiseless),
    };
    return { from, to, evaluation };
  });
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
