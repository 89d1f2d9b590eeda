import { UsageError } from "../errors.ts";
import { float32, int32, type NDArray } from "../ndarray.ts";
import { valueOfByte } from "../pixel-range.ts";
import { uniforms } from "../random.ts";
import { reflect } from "../reflect.ts";
import type { Split } from "./content.ts";
import { imageOrder, type OrderOptions } from "./order.ts";

/** Images [N, C, H, W] in [-1, 1] and their labels [N]. */
export interface Batch {
  /** [N, C, H, W] in [-1, 1]. */
  readonly x: NDArray<"float32">;
  /** [N], indices into the data set's classes. */
  readonly y: NDArray<"int32">;
}

/** How `batchSequence` cuts a split into batches. */
export interface BatchOptions extends OrderOptions {
  /** Images in each batch. */
  readonly batchSize: number;
  /** Seed of the order and of the augmentation, a whole number from 0. */
  readonly seed: number;
  /** Mirror half of the images, left to right. Off where that changes what an image is: digits, letters. */
  readonly flip?: boolean;
  /** Shift every image by up to this many pixels each way; what enters is the image's own reflection. 0: off. */
  readonly crop?: number;
}

/** How one image is taken: shifted by (dx, dy) pixels, then perhaps mirrored. */
interface View {
  readonly flip: boolean;
  readonly dx: number;
  readonly dy: number;
}

/** Stream of the seed's random numbers, from which steps count: far from all that others draw from the same seed. */
const AUGMENT = 2 ** 41;

const MODEL_RANGE = Float32Array.from({ length: 256 }, (_, byte) => valueOfByte(byte));
const AS_IS: View = { flip: false, dx: 0, dy: 0 };

/** The images of the given indices, each taken as its view says, unchanged where there is none. */
export function gather(split: Split, indices: ArrayLike<number>, views: readonly View[] = []): Batch {
  const { shape, images, labels } = split;
  const [channels, height, width] = shape;
  const x = float32([indices.length, ...shape]);
  const columns = new Int32Array(width);
  for (let n = 0, to = 0; n < indices.length; n++) {
    const { flip, dx, dy } = views[n] ?? AS_IS;
    for (let i = 0; i < width; i++) columns[i] = reflect((flip ? width - 1 - i : i) + dx, width);
    for (let c = 0; c < channels; c++)
      for (let row = 0; row < height; row++) {
        const from = ((indices[n]! * channels + c) * height + reflect(row + dy, height)) * width;
        for (let i = 0; i < width; i++) x.data[to++] = MODEL_RANGE[images[from + columns[i]!]!]!;
      }
  }
  return {
    x,
    y: int32(
      [indices.length],
      Int32Array.from(indices, (i) => labels[i]!),
    ),
  };
}

/** Some images of a split, as likelihoods and accuracies take them: those at the places `chosen`, with labels as `labelFor` says them. */
export const imagesAt = (
  split: Split,
  chosen: ArrayLike<number>,
  labelFor: (label: number) => number = (label) => label,
) => ({
  count: chosen.length,
  /** Images and labels at these positions. */
  take(positions: readonly number[]): Batch {
    const { x, y } = gather(
      split,
      positions.map((position) => chosen[position]!),
    );
    return { x, y: int32(y.shape, y.data.map(labelFor)) };
  },
});

/** All images of a split, in order. */
export const everyImage = (split: Split): Batch =>
  gather(
    split,
    Array.from({ length: split.count }, (_, i) => i),
  );

/**
 * An endless sequence of batches, as a function of the step: nothing is advanced, so that a run resumes at any step. The images follow each
 * other as `imageOrder` says and are cut into batches: a batch may span epochs, also several.
 */
export function batchSequence(split: Split, options: BatchOptions): (step: number) => Batch {
  const { batchSize, seed, flip = false, crop = 0 } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new UsageError(`batch size must be a whole number from 1 but is ${batchSize}`);
  const side = Math.min(split.shape[1], split.shape[2]);
  if (!Number.isInteger(crop) || crop < 0 || crop >= side)
    throw new UsageError(`crop must be a whole number of pixels from 0 to ${side - 1} but is ${crop}`);

  const indexAt = imageOrder(split, options);
  const shift = (u: number): number => Math.floor(u * (2 * crop + 1)) - crop;
  const views = (step: number): View[] => {
    if (!flip && crop === 0) return [];
    const u = uniforms(seed, AUGMENT + step, 3 * batchSize);
    return Array.from({ length: batchSize }, (_, i) => ({
      flip: flip && u[3 * i]! < 0.5,
      dx: shift(u[3 * i + 1]!),
      dy: shift(u[3 * i + 2]!),
    }));
  };
  return (step) => {
    const indices = Uint32Array.from({ length: batchSize }, (_, i) => indexAt(step * batchSize + i));
    return gather(split, indices, views(step));
  };
}
