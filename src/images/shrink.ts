import type { Image } from "./image.ts";

/**
 * Writes the mean of the pixels in a box, channel by channel, rounded, into `target` at `at`. Edges may lie between pixels: a pixel belongs
 * to the box if its left upper corner does, and a box holds at least one.
 */
export function boxMean(
  { width, height, channels, data }: Image,
  [left, top, right, bottom]: readonly [left: number, top: number, right: number, bottom: number],
  target: Uint8Array = new Uint8Array(channels),
  at = 0,
): Uint8Array {
  const [x0, y0] = [Math.floor(left), Math.floor(top)];
  const x1 = Math.min(width, Math.max(x0 + 1, Math.floor(right)));
  const y1 = Math.min(height, Math.max(y0 + 1, Math.floor(bottom)));
  const count = (x1 - x0) * (y1 - y0);
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += data[(y * width + x) * channels + c]!;
    target[at + c] = Math.round(sum / count);
  }
  return target;
}

/** A picture shrunk by a whole number: each pixel is the mean of a square of them, of a part of one at the right and lower edges. */
export function shrink(image: Image, factor: number): Image {
  if (factor === 1) return image;
  const { channels } = image;
  const [width, height] = [Math.ceil(image.width / factor), Math.ceil(image.height / factor)];
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      boxMean(image, [x * factor, y * factor, (x + 1) * factor, (y + 1) * factor], data, (y * width + x) * channels);
  return { width, height, channels, data };
}
