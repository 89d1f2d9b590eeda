import { UsageError } from "../../errors.ts";
import { adapt } from "../../nn/module.ts";
import { resizeBilinear } from "../../nn/resample.ts";
import { concat } from "../../tensor/functions.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { DenoiserInputs, DenoiserNetwork } from "../family.ts";
import type { UNetConfig } from "./config.ts";
import { unet } from "./unet.ts";

/**
 * A denoiser of large images that sees a small one: `lowRes` [N, C, h, w], brought to x's size bilinearly, joins x's channels (Dhariwal
 * & Nichol 2021, section 5.2). `config.inChannels` counts the channels of one image.
 *
 * Applying it throws UsageError where `lowRes` is missing; else as `unet`.
 */
export const superResUnet = (config: UNetConfig): DenoiserNetwork =>
  adapt(
    unet({ ...config, inChannels: 2 * config.inChannels }),
    (denoise) =>
      (x: Tensor, t: Tensor, { label, lowRes, augment }: DenoiserInputs) => {
        if (!lowRes) throw new UsageError("superResUnet: this network enlarges small images; give lowRes [N, C, h, w]");
        return denoise(concat([x, resizeBilinear(lowRes, x.shape[2]!, x.shape[3]!)], 1), t, { label, augment });
      },
  );
