import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Model } from "../../checkpoint/model.ts";
import { DataError } from "../../errors.ts";
import { decodeImage } from "../../images/decode.ts";
import type { Image } from "../../images/image.ts";
import { planesOf, toFloat32 } from "../../images/planes.ts";
import { float32, type NDArray } from "../../ndarray.ts";

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
  model: Pick<Model, "imageShape" | "source" | "preprocessing">,
  count: number,
): Promise<NDArray<"float32">> =>
  modelImages(await decodeImage(bytes, { name: path, background: model.preprocessing.background }), path, model, count);

/**
 * A picture as the model's, `count` times: [count, C, H, W]. Grey becomes colour, and colour grey as luma (ITU-R BT.601), as the model
 * has it. Throws DataError where it is of another size.
 */
function modelImages(
  image: Image,
  path: string,
  { imageShape, source }: Pick<Model, "imageShape" | "source">,
  count: number,
): NDArray<"float32"> {
  checkSize(image, path, `the pictures of ${source}`, imageShape);
  return toFloat32(new Array<Image>(count).fill(image), imageShape[0] === 1 ? 1 : 3);
}

/** A mask file as [H, W]: 1 where it is lighter than the middle grey. Throws DataError where it is of another size. */
export async function modelMask(
  bytes: Uint8Array,
  path: string,
  { imageShape, source }: Pick<Model, "imageShape" | "source">,
): Promise<NDArray<"float32">> {
  const image = await decodeImage(bytes, { name: path });
  const [, height, width] = imageShape;
  checkSize(image, path, `a mask for the pictures of ${source}`, imageShape);
  return float32(
    [height, width],
    Float32Array.from(planesOf(image, 1), (byte) => (byte >= 128 ? 1 : 0)),
  );
}

function checkSize({ width, height }: Image, path: string, what: string, [, h, w]: Model["imageShape"]): void {
  if (width !== w || height !== h)
    throw new DataError(`${path}: is ${width}x${height} but ${what} must be ${w}x${h}; resize it first`);
}
