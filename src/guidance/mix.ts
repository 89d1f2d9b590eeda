import type { Coefficients } from "../diffusion/noise-schedule.ts";
import type { Prediction } from "../diffusion/prediction.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Scale, scaled } from "./predictor.ts";

/**
 * What guidance makes of a prediction and a worse one of the same x_t: a prediction that lies beyond the better one, as far as the scale
 * says. Scale 1 is the better one, 0 the worse one. Variances are those of the better one.
 */
export type GuidanceMix = (
  better: Prediction,
  worse: Prediction,
  scale: Scale,
  xt: Tensor,
  c: Coefficients,
) => Prediction;

/** worse + scale (better - worse). Eq. 6, Ho & Salimans 2022; eq. 3, Karras et al. 2024. Noise, image and mean follow in the same way. */
export const linear: GuidanceMix = ({ mean, ...better }, worse, scale) => {
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
export const plusPlus: GuidanceMix = (better, worse, lambda, xt, c) => ({
  ...linear(better, worse, lambda, xt, c),
  renoise: worse.eps,
});

/** Every axis but the first. */
export const imageAxes = (x: Tensor): number[] => x.shape.map((_, i) => i).slice(1);
