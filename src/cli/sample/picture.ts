import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Model } from "../../checkpoint/model.ts";
import { DataError } from "../../errors.ts";
import { decodeImage } from "../../images/decode.ts";
import type { Image } from "../../images/image.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { valueOfByte } from "../../pixel-range.ts";

/** A file's bytes and their hash. Throws DataError where it cannot be read. */
export async function readInput(path: string): Promise<{ readonly bytes: Uint8Array; readonly hash: string }> {
  const bytes = await readFile(path).catch((cause: Error) => {
    throw new DataError(`${path}: cannot be read (${cause.message})`, { cause });
  });
  return { bytes, hash: createHash("sha256").update(bytes).digest("hex") };
}

/** A picture file as `modelImages` makes it. */
export const modelPicture = async (
  bytes: Uint8Array,
  path: string,
  model: Pick<Model, "imageShape" | "source">,
  count: number,
): Promise<NDArray<"float32">> => modelImages(await decodeImage(bytes, path), path, model, count);

/**
 * A picture as the model's, `count` times: [count, C, H, W]. Grey becomes colour, and colour grey as luma (ITU-R BT.601), as the model
 * has it. Throws DataError where it is of another size.
 */
export function modelImages(
  image: Image,
  path: string,
  { imageShape, source }: Pick<Model, "imageShape" | "source">,
  count = 1,
): NDArray<"float32"> {
  const [channels, height, width] = imageShape;
  checkSize(image, path, `the pictures of ${source}`, imageShape);
  const area = height * width;
  const values = new Float32Array(count * channels * area);
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < area; i++) values[c * area + i] = valueInside(channelOf(image, i, c, channels));
  const one = values.slice(0, channels * area);
  for (let n = 1; n < count; n++) values.set(one, n * one.length);
  return float32([count, ...imageShape], values);
}

/** A mask file as [H, W]: 1 where it is lighter than the middle grey. Throws DataError where it is of another size. */
export async function modelMask(
  bytes: Uint8Array,
  path: string,
  { imageShape, source }: Pick<Model, "imageShape" | "source">,
): Promise<NDArray<"float32">> {
  const image = await decodeImage(bytes, path);
  const [, height, width] = imageShape;
  checkSize(image, path, `a mask for the pictures of ${source}`, imageShape);
  return float32(
    [height, width],
    Float32Array.from({ length: height * width }, (_, i) => (channelOf(image, i, 0, 1) >= 128 ? 1 : 0)),
  );
}

function checkSize({ width, height }: Image, path: string, what: string, [, h, w]: Model["imageShape"]): void {
  if (width !== w || height !== h)
    throw new DataError(`${path}: is ${width}x${height} but ${what} must be ${w}x${h}; resize it first`);
}

/** A byte of a channel, where the picture may be grey and the model colour, or the other way. */
function channelOf({ channels, data }: Image, pixel: number, channel: number, wanted: number): number {
  if (channels === 1) return data[pixel]!;
  if (wanted === 3) return data[3 * pixel + channel]!;
  return Math.round(0.299 * data[3 * pixel]! + 0.587 * data[3 * pixel + 1]! + 0.114 * data[3 * pixel + 2]!);
}

/** A value just inside those that become this byte: the exact one would, by the rounding of float32, often become the byte below. */
const valueInside = (byte: number): number => Math.min(1, valueOfByte(byte) + 1e-6);
