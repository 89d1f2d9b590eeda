import { DataError, UsageError } from "../errors.ts";
import type { NDArray } from "../ndarray.ts";
import { byteOf } from "../pixel-range.ts";

/** A picture: rows of pixels, 1 (grey) or 3 (red, green, blue) bytes each, row-major [H, W, C]. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Throws DataError unless there are 1 or 3 channels and `data` has one byte for each. */
export function checkImage({ width, height, channels, data }: Image): void {
  if (channels !== 1 && channels !== 3) throw new DataError(`image: expected 1 or 3 channels but ${channels} came`);
  if (data.length !== width * height * channels || data.length === 0)
    throw new DataError(`image: ${width}x${height} with ${channels} channels does not fit ${data.length} bytes`);
}

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

/** How `grid` lays pictures out. */
export interface GridOptions {
  /** Pictures in a row; default: as nearly square as it goes. */
  readonly columns?: number;
  /** Pixels between pictures and around them, whatever the scale; default 2. */
  readonly padding?: number;
  /** Byte value of the padding; default 255, white. */
  readonly background?: number;
  /** Whole-number enlargement of each picture, by repeating pixels; default 1. */
  readonly scale?: number;
}

/** Width and height of the sheet that `grid` makes of pictures of one size. */
export function gridSize(
  count: number,
  { width, height }: Pick<Image, "width" | "height">,
  { columns = Math.ceil(Math.sqrt(count)), padding = 2, scale = 1 }: GridOptions = {},
) {
  return {
    width: columns * (width * scale + padding) + padding,
    height: Math.ceil(count / columns) * (height * scale + padding) + padding,
  };
}

/** One sheet of equally sized pictures, row by row. Throws DataError where there are none, or their sizes differ; UsageError for impossible options. */
export function grid(images: readonly Image[], options: GridOptions = {}): Image {
  const [first] = images;
  if (!first) throw new DataError("grid: there are no images");
  const { columns = Math.ceil(Math.sqrt(images.length)), padding = 2, background = 255, scale = 1 } = options;
  if (![columns, scale].every((n) => Number.isInteger(n) && n > 0) || !Number.isInteger(padding) || padding < 0)
    throw new UsageError(
      `grid: columns ${columns}, scale ${scale} and padding ${padding} should be whole numbers, the first two above 0`,
    );
  const { channels } = first;
  const cell = { width: first.width * scale + padding, height: first.height * scale + padding };
  const { width, height } = gridSize(images.length, first, { columns, padding, scale });
  const data = new Uint8Array(width * height * channels).fill(background);

  for (const [n, image] of images.entries()) {
    checkImage(image);
    if (image.width !== first.width || image.height !== first.height || image.channels !== channels)
      throw new DataError(
        `grid: image ${n} is ${image.width}x${image.height}x${image.channels}, the first ${first.width}x${first.height}x${channels}`,
      );
    const left = padding + (n % columns) * cell.width;
    const top = padding + Math.floor(n / columns) * cell.height;
    for (let y = 0; y < image.height * scale; y++) {
      const from = Math.floor(y / scale) * image.width;
      const to = (top + y) * width + left;
      for (let x = 0; x < image.width * scale; x++) {
        const pixel = (from + Math.floor(x / scale)) * channels;
        data.set(image.data.subarray(pixel, pixel + channels), (to + x) * channels);
      }
    }
  }
  return { width, height, channels, data };
}

/** A picture shrunk by a whole number: each pixel is the mean of a square of them, of a part of one at the right and lower edges. */
export function shrink(image: Image, factor: number): Image {
  if (factor === 1) return image;
  const { channels, data } = image;
  const [width, height] = [Math.ceil(image.width / factor), Math.ceil(image.height / factor)];
  const sums = new Float64Array(width * height * channels);
  const counts = new Float64Array(width * height);
  for (let y = 0; y < image.height; y++)
    for (let x = 0; x < image.width; x++) {
      const to = Math.floor(y / factor) * width + Math.floor(x / factor);
      counts[to]!++;
      for (let c = 0; c < channels; c++) sums[to * channels + c]! += data[(y * image.width + x) * channels + c]!;
    }
  const pixels = Uint8Array.from(sums, (sum, i) => Math.round(sum / counts[Math.floor(i / channels)]!));
  return { width, height, channels, data: pixels };
}
