import { DataError } from "../errors.ts";
import { float32, type NDArray } from "../ndarray.ts";
import { byteOf, valueOfByte } from "../pixel-range.ts";
import { firstOf, type Image, luma } from "./image.ts";

/*
 * Pictures lie pixel by pixel, [H, W, C], as files have them; networks have them channel by channel, [C, H, W].
 */

/**
 * Pictures of a batch x [N, C, H, W] in the model's range [-1, 1]: (x + 1) 127.5, clamped to [0, 255] and truncated, as the
 * reference does. Throws DataError unless x has 1 or 3 channels.
 */
export function toUint8({ shape, data }: NDArray<"float32">): Image[] {
  const [count, channels, height, width] = shape;
  if (shape.length !== 4 || (channels !== 1 && channels !== 3))
    throw new DataError(`images: expected shape [N, 1 or 3, H, W] but [${shape}] came`);
  const area = height! * width!;
  return Array.from({ length: count! }, (_, n) => {
    const pixels = new Uint8Array(area * channels);
    for (let c = 0; c < channels; c++) {
      const plane = (n * channels + c) * area;
      for (let i = 0; i < area; i++) pixels[i * channels + c] = byteOf(data[plane + i]!);
    }
    return { width: width!, height: height!, channels, data: pixels };
  });
}

/** A picture's bytes as [C, H, W], written into `target` at `offset`. Grey becomes three equal channels, colour becomes grey as luma, rounded. */
export function planesOf(
  image: Image,
  channels: 1 | 3,
  target: Uint8Array = new Uint8Array(channels * image.width * image.height),
  offset = 0,
): Uint8Array {
  const { data } = image;
  const area = image.width * image.height;
  if (image.channels === 1) for (let c = 0; c < channels; c++) target.set(data, offset + c * area);
  else if (channels === 3)
    for (let c = 0; c < 3; c++) for (let i = 0; i < area; i++) target[offset + c * area + i] = data[3 * i + c]!;
  else
    for (let i = 0; i < area; i++)
      target[offset + i] = Math.round(luma(data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!));
  return target;
}

/**
 * Pictures of one size as x [N, C, H, W] in the model's range [-1, 1], which `toUint8` gives back byte for byte. With `channels`, grey becomes
 * colour, and colour grey as luma (ITU-R BT.601).
 *
 * @throws DataError where there are none, or they are not all of one size, and all grey or all in colour
 */
export function toFloat32(images: readonly Image[], channels?: 1 | 3): NDArray<"float32"> {
  const first = firstOf(images, "images");
  const wanted = channels ?? first.channels;
  const x = float32([images.length, wanted, first.height, first.width]);
  const size = x.data.length / images.length;
  for (const [n, image] of images.entries())
    x.data.set(Float32Array.from(planesOf(image, wanted), valueInside), n * size);
  return x;
}

/** A value just inside those that become this byte: the exact one would, by the rounding of float32, often become the byte below. */
const valueInside = (byte: number): number => Math.min(1, valueOfByte(byte) + 1e-6);
