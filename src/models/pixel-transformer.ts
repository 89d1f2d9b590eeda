import * as z from "zod";
import { count } from "./adm/schema.ts";
import { type ConfigSchema, checkSides, type DenoiserFamily } from "./family.ts";
import type { PixelTransformerConfig } from "./transformer/config.ts";
import { pixelTransformer } from "./transformer/network.ts";
import { transformerPreset } from "./transformer/presets.ts";

const schema: ConfigSchema<PixelTransformerConfig> = z.strictObject({
  imageSize: count,
  imageWidth: count.optional(),
  inChannels: count,
  outChannels: count,
  patchSize: z.int().min(1).max(256),
  hiddenSize: count,
  depth: z.int().min(1).max(256),
  numHeads: count,
  mlpRatio: z.number().positive().max(64).optional(),
  numClasses: count.optional(),
  nullLabel: z.boolean().optional(),
  maxCfgScale: z.number().gt(1).max(1000).optional(),
  augmentSize: count.optional(),
});

/** The transformer of pixels (Peebles & Xie 2023; Li & He 2025), see `pixelTransformer`. */
export const pixelTransformerFamily = {
  role: "denoiser",
  kind: "pixel-transformer",
  schema,
  signature: ({
    inChannels,
    imageSize,
    imageWidth = imageSize,
    outChannels,
    numClasses,
    nullLabel,
    maxCfgScale,
    augmentSize,
  }) => ({
    imageShape: [inChannels, imageSize, imageWidth],
    outChannels,
    classes: numClasses,
    nullLabel: nullLabel ? numClasses : undefined,
    ...(maxCfgScale !== undefined && { maxCfgScale }),
    augmentSize,
  }),
  build: pixelTransformer,
  student: ({ nullLabel: _, maxCfgScale: __, ...config }, { maxCfgScale }) => ({
    ...config,
    outChannels: config.inChannels,
    ...(maxCfgScale !== undefined && { maxCfgScale }),
  }),
  presets: {
    tiny: (data) => transformerPreset("tiny", data),
    small: (data) => transformerPreset("small", data),
    base: (data) => transformerPreset("base", data),
  },
  refit(
    { imageWidth: _, numClasses: __, nullLabel: ___, augmentSize: ____, ...config },
    { imageShape, classes, ...data },
  ) {
    const [inChannels, imageSize, imageWidth] = imageShape;
    checkSides(config.patchSize, [imageSize, imageWidth]);
    return {
      ...{ ...config, inChannels, imageSize, outChannels: data.learnedVariance ? 2 * inChannels : inChannels },
      ...(imageWidth !== imageSize && { imageWidth }),
      ...(classes > 0 && { numClasses: classes, nullLabel: data.nullLabel }),
      ...(data.augmentSize !== undefined && { augmentSize: data.augmentSize }),
    };
  },
  dataParameters: () => ({
    image: ["x_embedder.proj.weight"],
    output: ["final_layer.linear.weight", "final_layer.linear.bias"],
    classes: ["y_embedder.embedding_table.weight"],
  }),
} satisfies DenoiserFamily<PixelTransformerConfig>;
