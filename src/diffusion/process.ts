import type { Tensor } from "../tensor/tensor.ts";
import { timestepsPerFactor } from "./continuous.ts";
import type { Coefficients } from "./noise-schedule.ts";
import { type ProcessConfig, sigmaDataOf } from "./process-config.ts";

/** One number per image [N], shaped to broadcast over x: [N, 1, 1, 1] for images. */
export const perImage = (values: Tensor, x: Tensor): Tensor => values.reshape(-1, ...x.shape.slice(1).map(() => 1));

/** Mean over everything but the first axis: [N, ...] -> [N]. */
export const meanPerImage = (x: Tensor): Tensor => x.mean(x.shape.map((_, i) => i).slice(1));

/** A draw from q(x_t | x_0): x_t = alpha_t x_0 + sigma_t eps. Eq. 4, Ho et al. 2020. */
export const qSample = (x0: Tensor, noise: Tensor, { alpha, sigma }: Pick<Coefficients, "alpha" | "sigma">): Tensor =>
  x0.mul(perImage(alpha, x0)).add(noise.mul(perImage(sigma, x0)));

/** The image that x_t holds if its noise is eps: x_0 = (x_t - sigma_t eps) / alpha_t. */
export const x0FromEps = (xt: Tensor, eps: Tensor, { alpha, sigma }: Pick<Coefficients, "alpha" | "sigma">): Tensor =>
  xt.sub(eps.mul(perImage(sigma, xt))).div(perImage(alpha, xt));

/** The noise that x_t holds if its image is x_0: eps = (x_t - alpha_t x_0) / sigma_t. */
export const epsFromX0 = (xt: Tensor, x0: Tensor, { alpha, sigma }: Pick<Coefficients, "alpha" | "sigma">): Tensor =>
  xt.sub(x0.mul(perImage(alpha, xt))).div(perImage(sigma, xt));

/** What v-prediction predicts, v = alpha_t eps - sigma_t x_0. Section 4, Salimans & Ho 2022. */
export const vOf = (x0: Tensor, eps: Tensor, { alpha, sigma }: Pick<Coefficients, "alpha" | "sigma">): Tensor =>
  eps.mul(perImage(alpha, eps)).sub(x0.mul(perImage(sigma, x0)));

/**
 * What a network sees of x: beside `edm` noise, x divided by its standard deviation, c_in of table 1, Karras et al. 2022; else x itself.
 * The timestep tells sigma, so that this needs nothing but what networks are told.
 *
 * @param timestep what the network sees as time, [N].
 */
export function networkInput(
  x: Tensor,
  timestep: Tensor,
  config: Pick<ProcessConfig, "schedule" | "sigmaData">,
): Tensor {
  if (config.schedule !== "edm") return x;
  const variance = timestep.mul(2 / timestepsPerFactor).exp();
  return x.div(perImage(variance.add(sigmaDataOf(config) ** 2).sqrt(), x));
}

/** Mean of q(x_{t-1} | x_t, x_0). Eq. 7, Ho et al. 2020. Its variance is the coefficient `posteriorVariance`. */
export const posteriorMean = (x0: Tensor, xt: Tensor, c: Pick<Coefficients, "posteriorX0" | "posteriorXt">): Tensor =>
  x0.mul(perImage(c.posteriorX0, xt)).add(xt.mul(perImage(c.posteriorXt, xt)));
