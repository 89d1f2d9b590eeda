import { UsageError } from "../errors.ts";
import { firstOf, type Image } from "./image.ts";

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
  const first = firstOf(images, "grid");
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
