import { coefficientRow } from "../../diffusion/noise-schedule.ts";
import { type LinearEvaluation, linearSolver, times } from "../linear.ts";
import { defineSampler } from "../sampler.ts";
import { langevinSettings, langevinSteps } from "./langevin-steps.ts";

/**
 * Annealed Langevin dynamics: `corrections` steps at each noise level, from the most noise to the least. Algorithm 1, Song & Ermon 2019.
 * In the end the noise that is left is taken away, as Jolicoeur-Martineau et al. 2021 advise. It knows no way from one level to the next but
 * to go on with the same picture, x / alpha; so it wants levels that are close together.
 */
export const langevin = defineSampler({
  kind: "langevin",
  note: "annealed Langevin dynamics, corrections steps at each level",
  settings: langevinSettings({ corrections: 5, snr: 0.25 }),
  steps: 100,
  levels: "geometric",
  solver: (schedule, settings) => {
    const steps = schedule.levels.map((level, index): LinearEvaluation[] => {
      const all = langevinSteps(schedule, index, settings);
      const to = schedule.levels[index - 1];
      if (!to) return [...all, { coefficients: coefficientRow(schedule, index), next: { x0: 1 } }];
      const last = all.at(-1)!;
      // At a level that is nothing but noise there is no picture to keep the size of.
      return [...all.slice(0, -1), { ...last, next: times(level.alpha > 0 ? to.alpha / level.alpha : 1, last.next) }];
    });
    return linearSolver(steps.reverse());
  },
});
