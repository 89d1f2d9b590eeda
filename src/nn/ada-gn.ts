import type { Tensor } from "../tensor/tensor.ts";
import { affine, normalizeGroups } from "./group-norm.ts";
import { module } from "./module.ts";

/**
 * A layer, adaptive group normalisation: `AdaGN(h, y) = y_s GroupNorm(h) + y_b` (Dhariwal & Nichol 2021, section 3.1), by which the
 * timestep and the class steer every residual block.
 *
 * h [N, C, H, W]; y [N, 2C] holds `y_s - 1`, then `y_b`, so that a projection that starts near zero leaves GroupNorm alone.
 */
export const adaGN = (channels: number, groups = 32) =>
  module(affine(channels), ({ weight, bias }, h: Tensor, y: Tensor) => {
    const scale = y.slice(1, 0, channels).add(1); // [N, C]
    const shift = y.slice(1, channels, 2 * channels);
    // y_s (weight n + bias) + y_b = (y_s weight) n + (y_s bias + y_b): both affine maps in one, on coefficients [N, C].
    return normalizeGroups(h, scale.mul(weight), scale.mul(bias).add(shift), groups);
  });
