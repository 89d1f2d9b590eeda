import type { DenoiserDataShape } from "../family.ts";
import type { PixelTransformerConfig } from "./config.ts";

/** Sizes that a CPU trains; parameters and cost per 32x32 image in colour. */
const sizes = {
  /** 1.3 M, 0.11 GFLOP. */
  tiny: { hiddenSize: 128, depth: 4, numHeads: 4 },
  /** 2.9 M, 0.26 GFLOP. */
  small: { hiddenSize: 160, depth: 6, numHeads: 5 },
  /** 5.5 M, 0.49 GFLOP. */
  base: { hiddenSize: 192, depth: 8, numHeads: 6 },
} as const;

/** Most tokens of an image: they are 8x8 for most sizes. */
const mostTokens = 100;

/** The smallest side of patches of which images have few enough, else the largest that cuts them. */
function patchSizeFor(height: number, width: number): number {
  const sides = Array.from({ length: Math.min(height, width) }, (_, i) => i + 1).filter(
    (side) => height % side === 0 && width % side === 0,
  );
  return sides.find((side) => (height * width) / side ** 2 <= mostTokens) ?? sides.at(-1)!;
}

/** A transformer that is told the class; see `denoiserPreset`. */
export function transformerPreset(
  name: keyof typeof sizes,
  {
    imageShape: [inChannels, imageSize, imageWidth],
    classes,
    learnedVariance,
    nullLabel,
    augmentSize,
  }: DenoiserDataShape,
): PixelTransformerConfig {
  return {
    ...sizes[name],
    imageSize,
    ...(imageWidth !== imageSize && { imageWidth }),
    inChannels,
    outChannels: learnedVariance ? 2 * inChannels : inChannels,
    patchSize: patchSizeFor(imageSize, imageWidth),
    ...(classes > 0 && { numClasses: classes, nullLabel }),
    ...(augmentSize !== undefined && { augmentSize }),
  };
}
