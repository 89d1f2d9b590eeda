import type { NoiseLevel } from "../../diffusion/noise-level.ts";
import { coefficientRow, type NoiseSchedule } from "../../diffusion/noise-schedule.ts";
import { number, whole } from "../../setting.ts";
import type { LinearEvaluation, Sum } from "../linear.ts";

export interface LangevinOptions {
  /** Steps of Langevin dynamics at each noise level. */
  readonly corrections: number;
  /**
   * How large a step is: the length of its drift over that of its noise, r of algorithm 4, Song et al. 2021. They measure both for a whole
   * batch; here stands what the score's length is expected to be, sqrt(dimensions) / sigma, so that a picture does not depend on its
   * batch. Algorithm 1, Song & Ermon 2019, has steps of that kind: as large as sigma^2 times a constant.
   */
  readonly snr: number;
}

/** The settings of Langevin dynamics, with what is usual for a sampler. */
export const langevinSettings = (usual: LangevinOptions) => ({
  corrections: whole("Langevin steps at each noise level", {
    from: 1,
    // The noise of each has a stream of its own.
    to: 1000,
    usual: usual.corrections,
    cost: "value",
  }),
  snr: number("size of these steps, as drift over noise", { above: 0, below: 1, usual: usual.snr, cost: "none" }),
});

/** Steps of Langevin dynamics at a level of a schedule. */
export const langevinSteps = (
  schedule: NoiseSchedule,
  index: number,
  { corrections, snr }: LangevinOptions,
): LinearEvaluation[] =>
  new Array(corrections).fill({
    coefficients: coefficientRow(schedule, index),
    next: langevinSum(schedule.levels[index]!, snr),
  });

/**
 * A step of Langevin dynamics, which keeps x at its noise level and moves it to where it is likelier:
 * x' = x + s sigma^2 score + sigma sqrt(2 s) noise with s = 2 r^2, and score = (alpha x0 - x) / sigma^2.
 */
function langevinSum({ alpha, sigma }: NoiseLevel, snr: number): Sum {
  const share = 2 * snr ** 2;
  return { x: 1 - share, x0: share * alpha, noise: sigma * Math.sqrt(2 * share) };
}
