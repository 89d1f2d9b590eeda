import { adapt, type Module } from "../../nn/module.ts";
import { resizeBilinear } from "../../nn/resample.ts";
import { concat } from "../../tensor/functions.ts";
import type { Labels, Tensor } from "../../tensor/tensor.ts";
import type { UNetConfig } from "./config.ts";
import { unet } from "./unet.ts";

/** x [N, C, H, W], t [N], lowRes [N, C, h, w], y [N] where class-conditional -> [N, outChannels, H, W]. */
export type SuperResUNet = Module<[x: Tensor, t: Tensor, lowRes: Tensor, y?: Labels]>;

/**
 * A denoiser of large images that sees a small one: `lowRes`, brought to x's size bilinearly, joins x's channels (Dhariwal &
 * Nichol 2021, section 5.2). `config.inChannels` counts the channels of one image.
 */
export const superResUnet = (config: UNetConfig): SuperResUNet =>
  adapt(
    unet({ ...config, inChannels: 2 * config.inChannels }),
    (denoise) => (x: Tensor, t: Tensor, lowRes: Tensor, y?: Labels) =>
      denoise(concat([x, resizeBilinear(lowRes, x.shape[2]!, x.shape[3]!)], 1), t, y),
  );
