import { DataError } from "../../errors.ts";
import { permutation } from "../../random.ts";
import { type BootstrapOptions, deviation, type Estimate, purposes, resample } from "./bootstrap.ts";
import type { Matrix } from "./matrix.ts";
import { timesTransposed } from "./multiply.ts";
import { blockedProducts, centreOf, checkWidths, type EngineOptions, type ProductOptions } from "./products.ts";

/** Settings of `kernelDistance`; 50 resamples by default. */
export interface KernelDistanceOptions extends BootstrapOptions, EngineOptions {
  /** Most images of each set, chosen by the seed: the cost grows with the square. Default 5,000. */
  readonly most?: number;
}

/**
 * Kernel distance, KID where the features are Inception's (Bińkowski et al. 2018): the squared maximum mean discrepancy under the kernel
 * k(x, y) = (x . y / D + 1)^3, by the estimator over pairs of different images, which is unbiased at any count and so may be
 * below zero. Its error resamples the images of both sets.
 *
 * @throws DataError where the widths differ, a number is not finite, or a set has fewer than two images
 */
export async function kernelDistance(
  reference: Matrix,
  samples: Matrix,
  { most = 5000, replicates = 50, seed = 0, backend, signal }: KernelDistanceOptions,
): Promise<Estimate> {
  checkWidths(reference, samples);
  for (const [what, { rows }] of Object.entries({ "reference images": reference, samples }))
    if (rows < 2) throw new DataError(`a kernel distance takes at least two ${what} but there are ${rows}`);
  const [x, y] = [subset(reference, most, seed, 0), subset(samples, most, seed, 1)];
  centreOf(y, "samples"); // for its check
  const options = { centre: centreOf(x, "reference"), backend, signal };
  const [u, v] = [weightsOf(x.rows, replicates, seed, 0), weightsOf(y.rows, replicates, seed, 1)];
  const [first, second] = [
    { points: x, weights: u },
    { points: y, weights: v },
  ];
  const [xx, yy, xy] = [
    await forms(first, undefined, options),
    await forms(second, undefined, options),
    await forms(first, second, options),
  ];
  const [value, ...others] = Array.from(
    { length: replicates + 1 },
    (_, r) => xx[r]! / pairsOf(u, r) + yy[r]! / pairsOf(v, r) - (2 * xy[r]!) / (x.rows * y.rows),
  );
  return { value: value!, error: deviation(others.filter(Number.isFinite)) }; // a resample of one image alone has no pairs
}

/** Streams of resamples that belong to the second set. */
const SECOND = 2 ** 19;

function subset(points: Matrix, most: number, seed: number, set: number): Matrix {
  const { rows, columns, data } = points;
  if (rows <= most) return points;
  const chosen = permutation(seed, 2 ** 50 + set, rows)
    .slice(0, most)
    .sort();
  const kept = new Float64Array(most * columns);
  for (const [i, row] of chosen.entries()) kept.set(data.subarray(row * columns, (row + 1) * columns), i * columns);
  return { rows: most, columns, data: kept };
}

/** [replicates + 1, count]: every image once, then how often each resample has it. */
function weightsOf(count: number, replicates: number, seed: number, set: number): Matrix {
  const data = new Float64Array((replicates + 1) * count).fill(1, 0, count);
  for (let r = 0; r < replicates; r++)
    data.set(resample({ seed, purpose: purposes.kid, replicate: r + set * SECOND }, count), (r + 1) * count);
  return { rows: replicates + 1, columns: count, data };
}

/** Pairs of different images in a resample: the square of its size, less each image with itself. */
function pairsOf({ columns, data }: Matrix, row: number): number {
  let itself = 0;
  for (let i = row * columns; i < (row + 1) * columns; i++) itself += data[i]! ** 2;
  return columns ** 2 - itself;
}

/** A set, and how often each resample has each of its images. */
interface Resampled {
  readonly points: Matrix;
  readonly weights: Matrix;
}

/**
 * sum_ij u_ri v_rj k(x_i, y_j) of every resample r, of two sets x and y with weights u and v; without another set, of pairs of different
 * images of the one.
 */
async function forms(set: Resampled, other: Resampled | undefined, options: ProductOptions): Promise<Float64Array> {
  const { points: x, weights: u } = set;
  const { points: y, weights: v } = other ?? set;
  const { centre } = options;
  const width = x.columns;
  // x . y from the centred product: + (x - c) . c + c . (y - c) + c . c = + x . c + y . c - c . c
  const [xc, yc] = [x, y].map((points) => dots(points, centre)) as [Float64Array, Float64Array];
  const cc = centre.reduce((sum, value) => sum + value * value, 0);
  const sums = new Float64Array(u.rows);
  for await (const { a, b, products, unit, stride } of blockedProducts(x, other?.points, options)) {
    // Blocks below the diagonal are those above it, turned.
    const twice = !other && a.first !== b.first ? 2 : 1;
    const kernel = new Float64Array(a.count * b.count);
    for (let row = 0; row < a.count; row++)
      for (let column = 0; column < b.count; column++) {
        const [i, j] = [a.first + row, b.first + column];
        if (!other && i === j) continue;
        const product = unit * products[row * stride + column]! + xc[i]! + yc[j]! - cc;
        const base = product / width + 1;
        kernel[row * b.count + column] = base * base * base;
      }
    const part = ({ rows, columns, data }: Matrix, { first, count }: { first: number; count: number }): Matrix => {
      const cut = new Float64Array(rows * count);
      for (let r = 0; r < rows; r++)
        cut.set(data.subarray(r * columns + first, r * columns + first + count), r * count);
      return { rows, columns: count, data: cut };
    };
    const [left, right] = [part(u, a), part(v, b)];
    // [resamples, rows of the block]
    const weighted = timesTransposed(right, { rows: a.count, columns: b.count, data: kernel });
    for (let r = 0; r < sums.length; r++)
      for (let row = 0; row < a.count; row++)
        sums[r]! += twice * left.data[r * a.count + row]! * weighted.data[r * a.count + row]!;
  }
  return sums;
}

const dots = ({ rows, columns, data }: Matrix, vector: Float64Array): Float64Array =>
  Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += data[i * columns + j]! * vector[j]!;
    return sum;
  });
