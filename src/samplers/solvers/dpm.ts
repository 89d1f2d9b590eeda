import { type NoiseLevel, noiseless, noiseRatio } from "../../diffusion/noise-level.ts";
import { coefficientRow, type NoiseSchedule } from "../../diffusion/noise-schedule.ts";
import { type LinearEvaluation, linearSolver } from "../linear.ts";
import type { Solver } from "../solver.ts";

/**
 * DPM-Solver++(2M) and its stochastic form, Lu et al. 2022b: the linear part of the reverse equation is solved exactly, and the
 * predicted image is extrapolated from this step's and the one before. Second order, one evaluation for each step. With
 * lambda = log(alpha / sigma), h = lambda_t - lambda_s for the step from s to t, and q = (h before) / h:
 *
 * x_t = sigma_t / sigma_s exp(-eta h) x_s + alpha_t (1 - exp(-(1 + eta) h)) D + sigma_t sqrt(1 - exp(-2 eta h)) noise,
 * D = x0_s + (x0_s - x0 before) / (2 q).
 *
 * eta 0 is algorithm 2 (2M); eta 1 is SDE-DPM-Solver++(2M) of its appendix; between them less noise is added.
 */
export function dpmSolver2m(chain: NoiseSchedule, { eta }: { readonly eta: number }): Solver {
  const { levels } = chain;
  const evaluations = levels.map((from, index): readonly LinearEvaluation[] => {
    const [before, to] = [levels[index + 1], levels[index - 1] ?? noiseless];
    const kept = (to.sigma / from.sigma) * shrink(from, to) ** eta;
    const taken = to.alpha * (1 - shrink(from, to) ** (1 + eta));
    // The first step knows no other image, and the last one needs none: from there on there is no noise.
    const extrapolated = before && to.sigma > 0 ? logRatio(from, to) / logRatio(before, from) / 2 : 0;
    const noise = to.sigma * Math.sqrt(1 - shrink(from, to) ** (2 * eta));
    return [
      {
        coefficients: coefficientRow(chain, index),
        next: { x: kept, x0: taken * (1 + extrapolated), before: -taken * extrapolated, noise },
        memory: { before: { x0: 1 } },
      },
    ];
  });
  return linearSolver(evaluations.reverse());
}

type Level = Pick<NoiseLevel, "alpha" | "sigma">;

/** exp(-h), the ratio of noise to image at the end of a step to that at its start. */
const shrink = (from: Level, to: Level): number => noiseRatio(to) / noiseRatio(from);

/** h. */
const logRatio = (from: Level, to: Level): number => -Math.log(shrink(from, to));
