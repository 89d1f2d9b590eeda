import * as z from "zod";
import type { SuperResolutionConfig } from "./adm/config.ts";
import { count, unetFields } from "./adm/schema.ts";
import { superResUnet } from "./adm/super-resolution.ts";
import { unetSignature } from "./adm-unet.ts";
import type { ConfigSchema, DenoiserFamily } from "./family.ts";

const { imageWidth: _, maxCfgScale: __, ...squareFields } = unetFields;
const schema: ConfigSchema<SuperResolutionConfig> = z.strictObject({ ...squareFields, lowResolution: count });

/** The ADM UNet that enlarges images (Dhariwal & Nichol 2021, section 5.2), see `superResUnet`. */
export const admSuperResolution = {
  role: "denoiser",
  kind: "adm-super-resolution",
  schema,
  signature: ({ lowResolution, ...config }) => ({
    ...unetSignature(config),
    lowRes: [config.inChannels, lowResolution, lowResolution],
  }),
  build: superResUnet,
} satisfies DenoiserFamily<SuperResolutionConfig>;
