import { noiseless } from "../../diffusion/noise-level.ts";
import { coefficientRow } from "../../diffusion/noise-schedule.ts";
import { linearSolver } from "../linear.ts";
import { defineSampler } from "../sampler.ts";

/**
 * Multistep consistency sampling, algorithm 1 of Song et al. 2023: a student says where the flow ends, that gets fresh noise of the next
 * level, and the student is asked again. One step is one question. Noise of a level is sigma itself and not the root of
 * sigma^2 - sigma_min^2, for a student's boundary condition holds where there is no noise at all.
 */
export const consistency = defineSampler({
  kind: "consistency",
  note: "for students of distill: the end of the flow, perhaps again",
  settings: {},
  steps: 2,
  levels: "karras",
  consistency: true,
  solver: (schedule) =>
    linearSolver(
      schedule.levels
        .map((_, index) => {
          const to = schedule.levels[index - 1] ?? noiseless;
          return [{ coefficients: coefficientRow(schedule, index), next: { x0: to.alpha, noise: to.sigma } }];
        })
        .reverse(),
    ),
});
