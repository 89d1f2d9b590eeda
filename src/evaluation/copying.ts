import { DataError } from "../errors.ts";
import type { Matrix } from "./metrics/matrix.ts";
import { nearestRows } from "./metrics/nearest.ts";
import { centreOf, checkWidths, type EngineOptions } from "./metrics/products.ts";

/** Share of real images that each of the two marks may take for copies. */
const eachMark = 0.025;

/** From this share on a model copies, if as many would not come about by chance. */
const copying = 0.2;

/** By so many standard deviations more than real images. */
const sure = 3;

/** Most real images that the marks are set by. */
const most = 1000;

/** Training images by their features, and what counts as a copy of one: what `copyDetector` gives. */
export interface CopyDetector {
  /** [N, D] */
  readonly training: Matrix;
  /** A distance below this is a copy's. */
  readonly near: number;
  /** So is one below this share of the distance to the next nearest training image. */
  readonly relative: number;
  /** Share of other real images that would count as copies, 0 ... 1: 0.05 where there were many to set the marks by. */
  readonly expected: number;
  /** How many real images the marks were set by. */
  readonly real: number;
  /** Were they others than the training images? Else each was compared with all the others. */
  readonly heldOut: boolean;
}

/**
 * What counts as a copy, by how near real images are to the training images. A real image that was not trained on has a nearest training
 * image too; a copy has a nearer one, and one that stands out from the next nearest. So a sample counts as a copy where the distance to its
 * nearest training image, or the ratio of that distance to the one to the next nearest, is below that of 97.5% of real images: at most 5% of
 * real images would count. The ratio is that of Yoon et al. 2023 and Gu et al. 2023, who take it below 1/3; it knows a noisy copy from a
 * blurred picture, which is near to many. Comparing with real images is the idea of Meehan et al. 2020 and of Alaa et al. 2022.
 *
 * @param training features of the training images
 * @param heldOut those of real images that were not trained on; without them each training image is compared with all others
 * @returns undefined where there are fewer than three training images: then nothing can be told
 * @throws DataError where the widths differ or a number is not finite
 */
export async function copyDetector(
  training: Matrix,
  heldOut: Matrix | undefined,
  engine: EngineOptions,
): Promise<CopyDetector | undefined> {
  if (training.rows < 3) return undefined;
  const chosen = spread((heldOut ?? training).rows, most);
  const real = rowsOf(heldOut ?? training, chosen);
  const marks = await nearest(real, training, engine, heldOut ? undefined : chosen);
  const below = Math.floor(eachMark * real.rows);
  const mark = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[below]!;
  return {
    training,
    near: mark(marks.map(({ distance }) => distance)),
    relative: mark(marks.map(({ ratio }) => ratio)),
    // Of N + 1 numbers of one distribution, each place in their order is as likely for the last.
    expected: (2 * (below + 1)) / (real.rows + 1),
    real: real.rows,
    heldOut: heldOut !== undefined,
  };
}

/** A sample beside its nearest training image. */
export interface Pair {
  readonly sample: number;
  /** Index of the training image. */
  readonly training: number;
  /** Between their features. */
  readonly distance: number;
  /** That distance in units of the one to the next nearest training image, 0 ... 1. */
  readonly ratio: number;
  readonly copy: boolean;
}

/** How far samples are copies of training images. */
export interface Copies {
  /** For each sample, in order. */
  readonly pairs: readonly Pair[];
  /** Share of the samples that count as copies, 0 ... 1. */
  readonly share: number;
  /** Is that a fifth or more, and more than real images would make it by chance? */
  readonly copying: boolean;
}

/** The nearest training image of each sample, and whether it is a copy. Throws DataError as `copyDetector` does. */
export async function copiesAmong(samples: Matrix, detector: CopyDetector, engine: EngineOptions): Promise<Copies> {
  checkWidths(detector.training, samples);
  if (samples.rows === 0) throw new DataError("there are no samples to look for copies among");
  const pairs = (await nearest(samples, detector.training, engine)).map((pair, sample) => ({
    sample,
    ...pair,
    copy: pair.distance < detector.near || pair.ratio < detector.relative,
  }));
  const share = pairs.filter(({ copy }) => copy).length / pairs.length;
  const { expected, real } = detector;
  // Both the samples and the images that the marks were set by are draws.
  const deviation = Math.sqrt(expected * (1 - expected) * (1 / pairs.length + 1 / (real + 2)));
  return { pairs, share, copying: share >= Math.max(copying, expected + sure * deviation) };
}

/** The nearest training image of each row; `own` are the places of the rows in the training set, where they are from there. */
async function nearest(
  rows: Matrix,
  training: Matrix,
  engine: EngineOptions,
  own?: readonly number[],
): Promise<Omit<Pair, "sample" | "copy">[]> {
  const k = own ? 3 : 2;
  centreOf(rows, "samples"); // for its check
  const centre = centreOf(training, "training images");
  const { squared, index } = await nearestRows(rows, training, k, { centre, ...engine });
  return Array.from({ length: rows.rows }, (_, i) => {
    // Where others are the same image, it need not be among its own nearest, and all that are nearest are at distance 0.
    const places = Array.from({ length: k }, (_, n) => i * k + n).filter((at) => index[at] !== own?.[i]);
    const [distance, next] = places.map((at) => Math.sqrt(squared[at]!)) as [number, number];
    return { training: index[places[0]!]!, distance, ratio: next === 0 ? 1 : distance / next };
  });
}

/** At most so many of the numbers 0 ... count - 1, evenly spread. */
const spread = (count: number, most: number): number[] =>
  Array.from({ length: Math.min(count, most) }, (_, i) => Math.floor((i * count) / Math.min(count, most)));

function rowsOf({ columns, data }: Matrix, chosen: readonly number[]): Matrix {
  const part = new Float32Array(chosen.length * columns);
  for (const [to, from] of chosen.entries())
    part.set(data.subarray(from * columns, (from + 1) * columns), to * columns);
  return { rows: chosen.length, columns, data: part };
}
