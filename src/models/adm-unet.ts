import * as z from "zod";
import type { UNetConfig } from "./adm/config.ts";
import { bySize, denoiserPreset } from "./adm/presets.ts";
import { firstKernel, refitBackbone } from "./adm/refit.ts";
import { unetFields } from "./adm/schema.ts";
import { unet } from "./adm/unet.ts";
import type { ConfigSchema, DenoiserFamily, DenoiserSignature } from "./family.ts";

/** What a UNet takes and gives, by its config. */
export const unetSignature = ({
  inChannels,
  imageSize,
  imageWidth = imageSize,
  outChannels,
  numClasses,
  nullLabel,
  maxCfgScale,
  augmentSize,
}: UNetConfig): DenoiserSignature => ({
  imageShape: [inChannels, imageSize, imageWidth],
  outChannels,
  classes: numClasses,
  nullLabel: nullLabel ? numClasses : undefined,
  ...(maxCfgScale !== undefined && { maxCfgScale }),
  augmentSize,
});

const schema: ConfigSchema<UNetConfig> = z.strictObject(unetFields);

/** The ADM UNet (Dhariwal & Nichol 2021), see `unet`. */
export const admUnet = {
  role: "denoiser",
  kind: "adm-unet",
  schema,
  signature: unetSignature,
  build: unet,
  student: ({ nullLabel: _, maxCfgScale: __, ...config }, { maxCfgScale }) => ({
    ...config,
    outChannels: config.inChannels,
    ...(maxCfgScale !== undefined && { maxCfgScale }),
  }),
  presets: bySize((name) => (data) => denoiserPreset(name, data)),
  refit: (
    { numClasses: _, nullLabel: __, augmentSize: ___, ...config },
    { imageShape, classes, learnedVariance, nullLabel, augmentSize },
  ) => ({
    ...refitBackbone(config, imageShape),
    outChannels: learnedVariance ? 2 * imageShape[0] : imageShape[0],
    ...(classes > 0 && { numClasses: classes, nullLabel }),
    ...(augmentSize !== undefined && { augmentSize }),
  }),
  dataParameters: () => ({
    image: [firstKernel],
    output: ["out.2.weight", "out.2.bias"],
    classes: ["label_emb.weight"],
  }),
} satisfies DenoiserFamily<UNetConfig>;
