import { perImage, vOf } from "../../diffusion/process.ts";
import { number } from "../../setting.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { defineGuidance, nothingToMix } from "../guidance.ts";
import { type GuidanceMix, imageAxes } from "../mix.ts";

/**
 * The mix with its spread brought back to that of the better prediction, as far as phi from 0, not at all, to 1, wholly: large scales
 * make images too bright and too dark. Section 3.4 and eq. 14-16, Lin et al. 2023. As there, the spread is the standard deviation over
 * all values of an image's v = alpha eps - sigma x0.
 */
export const rescaled =
  (mix: GuidanceMix, phi: number): GuidanceMix =>
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

export const rescaledGuidance = defineGuidance({
  settings: {
    /** phi of rescaled classifier-free guidance, from 0, off, to 1. */
    cfgRescale: number(
      "phi: share of their unguided spread that images get back from classifier-free guidance; 0 is off",
      {
        from: 0,
        to: 1,
        off: 0,
        cost: "on",
        formerly: "rescale",
      },
    ),
  },
  problem: ({ cfgRescale }, around) => (cfgRescale === 0 ? undefined : nothingToMix("cfgRescale", around)),
  mix: ({ cfgRescale }, mix) => (cfgRescale === 0 ? mix : rescaled(mix, cfgRescale)),
  describe: ({ cfgRescale }, { mixed }) => (mixed && cfgRescale !== 0 ? `rescaled by ${cfgRescale}` : undefined),
});
