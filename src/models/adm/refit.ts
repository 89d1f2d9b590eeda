import { checkSides, type ImageShape } from "../family.ts";
import type { BackboneConfig } from "./config.ts";
import { encoder } from "./encoder.ts";

/** The kernel of every network of the family that sees the image. */
export const firstKernel = "input_blocks.0.0.weight";

/**
 * The same backbone for other images. Throws UsageError where their sides are no multiples of the factor by which it makes them smaller.
 */
export function refitBackbone<C extends BackboneConfig>(
  { imageWidth: _, ...config }: C,
  [inChannels, imageSize, imageWidth]: ImageShape,
): Omit<C, "imageWidth"> & { readonly imageWidth?: number } {
  checkSides(encoder({ ...config, inChannels, imageSize }).factor, [imageSize, imageWidth]);
  return { ...config, inChannels, imageSize, ...(imageWidth !== imageSize && { imageWidth }) };
}
