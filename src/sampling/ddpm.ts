import { reverseMean } from "../diffusion/prediction.ts";
import { perImage } from "../diffusion/process.ts";
import type { Step } from "./step.ts";

/** Ancestral sampling: x_{t-1} ~ N(mu, Sigma), and mu itself at index 0. Algorithm 2, Ho et al. 2020. */
export const ddpmStep: Step = (predictor, { x, noise, coefficients: c, condition }) => {
  const prediction = predictor(x, c, condition);
  const deviation = prediction.logVariance.mul(0.5).exp().mul(perImage(c.noisy, x));
  return { x: reverseMean(prediction, x, c).add(noise.mul(deviation)), x0: prediction.x0 };
};
