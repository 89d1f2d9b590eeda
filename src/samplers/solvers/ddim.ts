import { perImage } from "../../diffusion/process.ts";
import type { Predictor } from "../../guidance/predictor.ts";
import { defineSampler } from "../sampler.ts";
import { plainPlan, type SolverStep, type StepInputs, type StepResult } from "../solver.ts";
import { eta } from "./eta.ts";

/** DDIM (Song et al. 2021). `eta` from 0, the default, which is deterministic, to 1, as random as ancestral sampling. */
export const ddim = defineSampler({
  kind: "ddim",
  note: "steps along the probability flow; eta makes them random",
  settings: { eta: eta(0) },
  steps: 50,
  levels: "chain",
  reads: "renoise",
  solver: (schedule, { eta }) => ({
    step: ddimStep,
    memory: [],
    numbers: [],
    plan: plainPlan(schedule, { noisy: eta !== 0, eta }),
  }),
});

/**
 * DDIM: x_{t-1} = alpha_{t-1} x0 + sqrt(sigma_{t-1}^2 - d^2) eps + d noise, with d = eta sqrt(beta tilde). Eq. 12, Song et al. 2021.
 * eta is in the coefficients: 0 is deterministic.
 */
export const ddimStep: SolverStep = (predictor, { x, noise, coefficients: c, condition }) => {
  const { x0, eps, renoise = eps } = predictor(x, c, condition);
  const mean = x0.mul(perImage(c.alphaPrevious, x)).add(renoise.mul(perImage(c.ddimDirection, x)));
  return { x: mean.add(noise.mul(perImage(c.ddimDeviation, x))), x0 };
};

/** The deterministic step the other way, from x_t to x_{t+1}: encodes an image as noise. Dhariwal & Nichol 2021, appendix F. */
export function ddimReverseStep(
  predictor: Predictor,
  { x, coefficients: c, condition }: Omit<StepInputs, "noise">,
): StepResult {
  const { x0, eps, renoise = eps } = predictor(x, c, condition);
  return { x: x0.mul(perImage(c.alphaNext, x)).add(renoise.mul(perImage(c.sigmaNext, x))), x0 };
}
