import type { Coefficients } from "../diffusion/noise-schedule.ts";
import type { Prediction } from "../diffusion/prediction.ts";
import { perImage, vOf } from "../diffusion/process.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Scale, scaled } from "./predictor.ts";

/**
 * What guidance makes of a prediction and a worse one of the same x_t: a prediction that lies beyond the better one, as far as the scale
 * says. Scale 1 is the better one, 0 the worse one. Variances are those of the better one.
 */
export type Mix = (better: Prediction, worse: Prediction, scale: Scale, xt: Tensor, c: Coefficients) => Prediction;

/** worse + scale (better - worse). Eq. 6, Ho & Salimans 2022; eq. 3, Karras et al. 2024. Noise, image and mean follow in the same way. */
export const linear: Mix = ({ mean, ...better }, worse, scale) => {
  const beyond = (to: Tensor, from: Tensor): Tensor => from.add(scaled(to.sub(from), scale));
  return {
    ...better,
    eps: beyond(better.eps, worse.eps),
    x0: beyond(better.x0, worse.x0),
    ...(mean && worse.mean && { mean: beyond(mean, worse.mean) }),
  };
};

/**
 * CFG++: the image is mixed by the scale, here called lambda and from 0 to 1, and gets back the noise of the worse prediction, so that
 * x_{t-1} stays among noisy images. Algorithm 2, Chung et al. 2024. A DDIM step of it is one of `linear` whose scale is
 * lambda r / (r - r') with r = sigma / alpha before the step and r' after it.
 */
export const plusPlus: Mix = (better, worse, lambda, xt, c) => ({
  ...linear(better, worse, lambda, xt, c),
  renoise: worse.eps,
});

/**
 * The mix with its spread brought back to that of the better prediction, as far as phi from 0, not at all, to 1, wholly: large scales
 * make images too bright and too dark. Section 3.4 and eq. 14-16, Lin et al. 2023. As there, the spread is the standard deviation over
 * all values of an image's v = alpha eps - sigma x0.
 */
export const rescaled =
  (mix: Mix, phi: number): Mix =>
  (better, worse, scale, xt, c) => {
    const [alpha, sigma] = [perImage(c.alpha, xt), perImage(c.sigma, xt)];
    const { mean: _, ...mixed } = mix(better, worse, scale, xt, c);
    const v = vOf(mixed.x0, mixed.eps, c);
    const factor = deviation(vOf(better.x0, better.eps, c))
      .div(deviation(v))
      .sub(1)
      .mul(phi);
    // (alpha^2 + sigma^2) x0 = alpha x_t - sigma v, and (alpha^2 + sigma^2) eps = sigma x_t + alpha v.
    const change = v.mul(factor).div(alpha.square().add(sigma.square()));
    return { ...mixed, x0: mixed.x0.sub(change.mul(sigma)), eps: mixed.eps.add(change.mul(alpha)) };
  };

/** Standard deviation of each image's values, [N, 1, ...]. */
function deviation(x: Tensor): Tensor {
  const axes = imageAxes(x);
  return x.sub(x.mean(axes, true)).square().mean(axes, true).sqrt();
}

/** Every axis but the first. */
export const imageAxes = (x: Tensor): number[] => x.shape.map((_, i) => i).slice(1);
