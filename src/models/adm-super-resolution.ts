import * as z from "zod";
import type { SuperResolutionConfig } from "./adm/config.ts";
import { count, unetFields } from "./adm/schema.ts";
import { superResUnet } from "./adm/super-resolution.ts";
import { unetSignature } from "./adm-unet.ts";
import type { DenoiserFamily } from "./family.ts";

/** The ADM UNet that enlarges images (Dhariwal & Nichol 2021, section 5.2), see `superResUnet`. */
export const admSuperResolution: DenoiserFamily<SuperResolutionConfig> = {
  role: "denoiser",
  kind: "adm-super-resolution",
  schema: z.strictObject({ ...unetFields, lowResolution: count }),
  signature: ({ lowResolution, ...config }) => ({
    ...unetSignature(config),
    lowRes: [config.inChannels, lowResolution, lowResolution],
  }),
  build: superResUnet,
};
