import sharp, { type Sharp } from "sharp";
import type { Pixels } from "./pixels.ts";
import { decodePlainPng } from "./png.ts";

async function finish(image: Sharp, size: number | undefined): Promise<Pixels> {
  const fitted =
    size === undefined
      ? image
      : image.resize(size, size, { fit: "cover", kernel: "mitchell", fastShrinkOnLoad: false });
  const { data, info } = await fitted.toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, channels: info.channels === 1 ? 1 : 3, data };
}

/**
 * Decodes any image that sharp reads, upright (EXIF), in sRGB, transparency over white. With `size` the shorter side is
 * resized to it, by a filter that averages over the area where it shrinks, and the centre is cropped to size x size.
 */
export async function decodeImage(bytes: Uint8Array, size?: number): Promise<Pixels> {
  const plain = decodePlainPng(bytes);
  if (plain && (size === undefined || (plain.width === size && plain.height === size))) return plain;
  return finish(sharp(bytes, { failOn: "error" }).autoOrient().flatten({ background: "white" }), size);
}

/** The same resizing and cropping for an image that is decoded already. */
export async function fitPixels(pixels: Pixels, size?: number): Promise<Pixels> {
  const { data, ...raw } = pixels;
  if (size === undefined || (raw.width === size && raw.height === size)) return pixels;
  return finish(sharp(data, { raw }), size);
}
