import { reverseMean } from "../../diffusion/prediction.ts";
import { perImage } from "../../diffusion/process.ts";
import { defineSampler } from "../sampler.ts";
import { plainPlan, type SolverStep } from "../solver.ts";

/** Ancestral sampling (Ho et al. 2020). */
export const ddpm = defineSampler({
  kind: "ddpm",
  note: "ancestral sampling, which takes many steps",
  settings: {},
  steps: 250,
  levels: "chain",
  reads: "mean",
  // It is as random as eta 1.
  refuses: ["eta"],
  solver: (schedule) => ({ step: ddpmStep, memory: [], numbers: [], plan: plainPlan(schedule, { noisy: true }) }),
});

/** Ancestral sampling: x_{t-1} ~ N(mu, Sigma), and mu itself at index 0. Algorithm 2, Ho et al. 2020. */
export const ddpmStep: SolverStep = (predictor, { x, noise, coefficients: c, condition }) => {
  const prediction = predictor(x, c, condition);
  const deviation = prediction.logVariance.mul(0.5).exp().mul(perImage(c.noisy, x));
  return { x: reverseMean(prediction, x, c).add(noise.mul(deviation)), x0: prediction.x0 };
};
