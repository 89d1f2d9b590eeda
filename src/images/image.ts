import { DataError } from "../errors.ts";

/** A picture in sRGB: rows of pixels, 1 (grey) or 3 (red, green, blue) bytes each, row-major [H, W, C]. */
export interface Image {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** Bytes of a pixel. */
  readonly channels: 1 | 3;
  /** [height, width, channels], 0 ... 255. */
  readonly data: Uint8Array;
}

/** A picture that was read from a file. */
export interface DecodedImage extends Image {
  /** Were some of its pixels transparent, so that they show the background? */
  readonly transparent?: boolean;
}

/** Throws DataError unless there are 1 or 3 channels and `data` has one byte for each. */
export function checkImage({ width, height, channels, data }: Image): void {
  if (channels !== 1 && channels !== 3) throw new DataError(`image: expected 1 or 3 channels but ${channels} came`);
  if (data.length !== width * height * channels || data.length === 0)
    throw new DataError(`image: ${width}x${height} with ${channels} channels does not fit ${data.length} bytes`);
}

/** The first of pictures of one kind. Throws DataError where there are none, or one differs from it in size or channels. */
export function firstOf(images: readonly Image[], where: string, noun = "image"): Image {
  const [first] = images;
  if (!first) throw new DataError(`${where}: there are no ${noun}s`);
  const shapeOf = ({ width, height, channels }: Image): string => `${width}x${height}x${channels}`;
  for (const [n, image] of images.entries()) {
    checkImage(image);
    if (shapeOf(image) !== shapeOf(first))
      throw new DataError(`${where}: ${noun} ${n} is ${shapeOf(image)}, the first ${shapeOf(first)}`);
  }
  return first;
}

/** Brightness of a colour as television weighs it (luma, ITU-R BT.601), of values in any range: the grey of a coloured picture. */
export const luma = (red: number, green: number, blue: number): number => 0.299 * red + 0.587 * green + 0.114 * blue;

/** Whether red, green and blue are equal everywhere. */
export function isGrey({ channels, data }: Image): boolean {
  if (channels === 1) return true;
  for (let i = 0; i < data.length; i += 3) if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  return true;
}
