import * as z from "zod";
import { adapt } from "../nn/module.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { UNetConfig } from "./adm/config.ts";
import { denoiserPreset } from "./adm/presets.ts";
import { unetFields } from "./adm/schema.ts";
import { unet } from "./adm/unet.ts";
import type { DenoiserFamily, DenoiserInputs, DenoiserSignature } from "./family.ts";

/** What a UNet takes and gives, by its config. */
export const unetSignature = ({
  inChannels,
  imageSize,
  outChannels,
  numClasses,
  nullLabel,
}: UNetConfig): DenoiserSignature => ({
  imageShape: [inChannels, imageSize, imageSize],
  outChannels,
  classes: numClasses,
  nullLabel: nullLabel ? numClasses : undefined,
});

/** The ADM UNet (Dhariwal & Nichol 2021), see `unet`. */
export const admUnet: DenoiserFamily<UNetConfig> = {
  role: "denoiser",
  kind: "adm-unet",
  schema: z.strictObject(unetFields),
  signature: unetSignature,
  build: (config) =>
    adapt(
      unet(config),
      (denoise) =>
        (x: Tensor, t: Tensor, { label }: DenoiserInputs) =>
          denoise(x, t, config.numClasses === undefined ? undefined : label),
    ),
  presets: {
    tiny: (data) => denoiserPreset("tiny", data),
    small: (data) => denoiserPreset("small", data),
    base: (data) => denoiserPreset("base", data),
  },
};
