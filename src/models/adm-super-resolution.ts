import * as z from "zod";
import { UsageError } from "../errors.ts";
import { adapt } from "../nn/module.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { SuperResolutionConfig } from "./adm/config.ts";
import { count, unetFields } from "./adm/schema.ts";
import { superResUnet } from "./adm/super-resolution.ts";
import { unetSignature } from "./adm-unet.ts";
import type { DenoiserFamily, DenoiserInputs } from "./family.ts";

/** The ADM UNet that enlarges images (Dhariwal & Nichol 2021, section 5.2), see `superResUnet`. */
export const admSuperResolution: DenoiserFamily<SuperResolutionConfig> = {
  role: "denoiser",
  kind: "adm-super-resolution",
  schema: z.strictObject({ ...unetFields, lowResolution: count }),
  signature: ({ lowResolution, ...config }) => ({
    ...unetSignature(config),
    lowRes: [config.inChannels, lowResolution, lowResolution],
  }),
  build: (config) =>
    adapt(superResUnet(config), (denoise) => (x: Tensor, t: Tensor, { label, lowRes }: DenoiserInputs) => {
      if (!lowRes) throw new UsageError("superResUnet: this network enlarges small images; give lowRes [N, C, h, w]");
      return denoise(x, t, lowRes, config.numClasses === undefined ? undefined : label);
    }),
};
