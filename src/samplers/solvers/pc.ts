import { coefficientRow } from "../../diffusion/noise-schedule.ts";
import { type LinearEvaluation, linearSolver } from "../linear.ts";
import { defineSampler } from "../sampler.ts";
import { langevinSettings, langevinSteps } from "./langevin-steps.ts";

/**
 * Predictor and corrector: an ancestral step leads to the next noise level (appendix F, Song et al. 2021), where Langevin dynamics repairs
 * the distribution. Algorithm 1 there. The step that ends at the picture needs no repair.
 */
export const pc = defineSampler({
  kind: "pc",
  note: "ancestral steps, each corrected by Langevin dynamics",
  settings: langevinSettings({ corrections: 1, snr: 0.16 }),
  steps: 50,
  levels: "karras",
  solver: (schedule, settings) => {
    const steps = schedule.levels.map((_, index): LinearEvaluation[] => {
      const coefficients = coefficientRow(schedule, index);
      const { posteriorXt, posteriorX0, posteriorVariance } = coefficients;
      const ancestral = { x: posteriorXt, x0: posteriorX0, noise: Math.sqrt(posteriorVariance) };
      return [{ coefficients, next: ancestral }, ...(index > 0 ? langevinSteps(schedule, index - 1, settings) : [])];
    });
    return linearSolver(steps.reverse());
  },
});
