import { priorBpd, vbTerm } from "../../diffusion/likelihood.ts";
import type { Coefficients, NoiseSchedule } from "../../diffusion/noise-schedule.ts";
import { clipX0, predict } from "../../diffusion/prediction.ts";
import { meanPerImage, qSample } from "../../diffusion/process.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export interface TermInputs {
  /** Images [N, C, H, W] in [-1, 1]. */
  readonly x0: Tensor;
  /** The noise of their x_t. */
  readonly noise: Tensor;
  readonly chain: NoiseSchedule;
  /** Limit predicted images to [-1, 1]. */
  readonly clip: boolean;
}

/**
 * What one timestep of the variational bound costs each image, [N] each; see `BoundEvent`.
 *
 * @param denoise x_t to the network's output, [N, C or 2C, H, W].
 */
export function boundTerms(denoise: (xt: Tensor) => Tensor, c: Coefficients, { x0, noise, chain, clip }: TermInputs) {
  const xt = qSample(x0, noise, c);
  const read = predict(denoise(xt), xt, c, chain.config);
  const prediction = clip ? clipX0(read, xt, c) : read;
  return {
    vb: vbTerm(prediction, x0, xt, c),
    xstartMse: meanPerImage(prediction.x0.sub(x0).square()),
    mse: meanPerImage(prediction.eps.sub(noise).square()),
    prior: priorBpd(x0, chain),
  };
}
