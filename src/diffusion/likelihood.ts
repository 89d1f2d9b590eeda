import { where } from "../tensor/functions.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Coefficients, NoiseSchedule } from "./noise-schedule.ts";
import { type Prediction, reverseMean } from "./prediction.ts";
import { meanPerImage, perImage, posteriorMean } from "./process.ts";

/** Nats to bits, averaged over an image: [N, ...] -> [N] bits per dimension. */
const bitsPerDimension = (nats: Tensor): Tensor => meanPerImage(nats).mul(1 / Math.LN2);

/** A diagonal normal distribution. */
export interface Normal {
  readonly mean: Tensor;
  readonly logVariance: Tensor;
}

/** KL(q || p) of two normal distributions in nats, element by element. */
export function normalKl(q: Normal, p: Normal): Tensor {
  const logRatio = q.logVariance.sub(p.logVariance);
  const distance = q.mean.sub(p.mean).square().mul(p.logVariance.neg().exp());
  return logRatio.exp().sub(logRatio).sub(1).add(distance).mul(0.5);
}

/** Distribution function of the standard normal, by the tanh approximation that published likelihoods use (error below 4e-4). */
const normalCdf = (x: Tensor): Tensor =>
  x
    .mul(x.square().mul(0.044715).add(1))
    .mul(Math.sqrt(2 / Math.PI))
    .tanh()
    .add(1)
    .mul(0.5);

/**
 * Log-probability in nats, element by element, of 8-bit values under a normal distribution that is cut into their 256 bins.
 * The first and the last bin reach to infinity. Eq. 13, Ho et al. 2020.
 *
 * In float32 the difference of the two tails cancels: more than about 4 deviations from the mean it is off by up to some nats, as the
 * reference's is.
 *
 * @param x values k / 127.5 - 1 with k in 0 ... 255.
 */
export function discretizedLogLikelihood(x: Tensor, { mean, logVariance }: Normal): Tensor {
  const centred = x.sub(mean);
  const precision = logVariance.mul(-0.5).exp();
  const upper = normalCdf(centred.add(1 / 255).mul(precision));
  const lower = normalCdf(centred.sub(1 / 255).mul(precision));
  const probability = where(x.less(-0.999), upper, where(x.less(0.999), upper, 1).sub(lower));
  return probability.maximum(1e-12).log();
}

/**
 * One term of the variational bound, in bits per dimension [N]: KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), and at index 0
 * the decoder's -log p(x_0 | x_1). Eq. 4-7, Nichol & Dhariwal 2021.
 */
export function vbTerm(prediction: Prediction, x0: Tensor, xt: Tensor, c: Coefficients): Tensor {
  const p = { mean: reverseMean(prediction, xt, c), logVariance: prediction.logVariance };
  const q = { mean: posteriorMean(x0, xt, c), logVariance: perImage(c.posteriorLogVariance, xt) };
  const decoder = discretizedLogLikelihood(x0, p).neg();
  return where(c.noisy.equal(0), bitsPerDimension(decoder), bitsPerDimension(normalKl(q, p)));
}

/**
 * The bound's term that no training changes, in bits per dimension [N]: KL(q(x_T | x_0) || p(x_T)). Sampling starts from
 * p = N(0, alpha_T^2 + sigma_T^2), whose variance is 1 but for noise that explodes.
 */
export function priorBpd(x0: Tensor, { tables: { alpha, sigma } }: NoiseSchedule): Tensor {
  const variance = alpha.at(-1)! ** 2 + sigma.at(-1)! ** 2;
  const [a, s] = [alpha.at(-1)! ** 2 / variance, sigma.at(-1)! ** 2 / variance];
  return bitsPerDimension(x0.square().mul(a / 2)).add((s - 1 - Math.log(s)) / 2 / Math.LN2);
}
