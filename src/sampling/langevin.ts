import type { NoiseLevel } from "../diffusion/noise-level.ts";
import { coefficientRow, type NoiseSchedule } from "../diffusion/noise-schedule.ts";
import { type LinearEvaluation, linearSolver, type Sum, times } from "./linear.ts";
import type { Solver } from "./solver.ts";

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

/**
 * A step of Langevin dynamics, which keeps x at its noise level and moves it to where it is likelier:
 * x' = x + s sigma^2 score + sigma sqrt(2 s) noise with s = 2 r^2, and score = (alpha x0 - x) / sigma^2.
 */
function langevinSum({ alpha, sigma }: NoiseLevel, snr: number): Sum {
  const share = 2 * snr ** 2;
  return { x: 1 - share, x0: share * alpha, noise: sigma * Math.sqrt(2 * share) };
}

const corrected = (chain: NoiseSchedule, index: number, { corrections, snr }: LangevinOptions): LinearEvaluation[] =>
  new Array(corrections).fill({
    coefficients: coefficientRow(chain, index),
    next: langevinSum(chain.levels[index]!, snr),
  });

/**
 * Annealed Langevin dynamics: `corrections` steps at each noise level, from the most noise to the least. Algorithm 1, Song & Ermon 2019.
 * In the end the noise that is left is taken away, as Jolicoeur-Martineau et al. 2021 advise. It knows no way from one level to the next but
 * to go on with the same picture, x / alpha; so it wants levels that are close together.
 */
export function langevinSolver(chain: NoiseSchedule, options: LangevinOptions): Solver {
  const steps = chain.levels.map((level, index): LinearEvaluation[] => {
    const all = corrected(chain, index, options);
    const to = chain.levels[index - 1];
    if (!to) return [...all, { coefficients: coefficientRow(chain, index), next: { x0: 1 } }];
    const last = all.at(-1)!;
    // At a level that is nothing but noise there is no picture to keep the size of.
    return [...all.slice(0, -1), { ...last, next: times(level.alpha > 0 ? to.alpha / level.alpha : 1, last.next) }];
  });
  return linearSolver(steps.reverse());
}

/**
 * Predictor and corrector: an ancestral step leads to the next noise level (appendix F, Song et al. 2021), where Langevin dynamics repairs
 * the distribution. Algorithm 1 there. The step that ends at the picture needs no repair.
 */
export function predictorCorrector(chain: NoiseSchedule, options: LangevinOptions): Solver {
  const steps = chain.levels.map((_, index): LinearEvaluation[] => {
    const coefficients = coefficientRow(chain, index);
    const { posteriorXt, posteriorX0, posteriorVariance } = coefficients;
    const ancestral = { x: posteriorXt, x0: posteriorX0, noise: Math.sqrt(posteriorVariance) };
    return [{ coefficients, next: ancestral }, ...(index > 0 ? corrected(chain, index - 1, options) : [])];
  });
  return linearSolver(steps.reverse());
}
