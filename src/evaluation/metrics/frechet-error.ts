import { permutation } from "../../random.ts";
import { type BootstrapOptions, deviation, purposes, streamOf } from "./bootstrap.ts";
import { eigenvalues } from "./eigenvalues.ts";
import { factorOf, frechetDistance } from "./frechet.ts";
import type { Matrix } from "./matrix.ts";
import { timesTransposed } from "./multiply.ts";
import type { Moments } from "./statistics.ts";

/** Settings of `frechetError`; 30 resamples by default. */
export interface FrechetErrorOptions extends BootstrapOptions {
  /** Which distance it is the error of, so that both have draws of their own. Default "frechet". */
  readonly of?: "frechet" | "spatial";
}

/** Multiplications of a covariance in one resample, beyond which a part of the images stands for all. */
const budget = 1e8;
const fewest = 512;

/**
 * Bootstrapped error of a Frechet distance to a fixed reference. A resample is a random half of the images: drawn without replacement, the
 * halves of N images vary as sets of N do (the delete-half jackknife, Shao & Wu 1989). Draws with replacement hold ever another number of
 * different images, and a Frechet distance near the width of its features depends on that number more than on the images. Of
 * many or wide features, n of N stand for all, and the deviation is scaled by sqrt(n / N).
 * Where the distance is little more than its bias, the error is up to twice too large. Of fewer than three images it is NaN: unknown.
 */
export function frechetError(
  samples: Matrix,
  reference: Moments,
  { replicates = 30, seed = 0, of = "frechet" }: FrechetErrorOptions = {},
): number {
  const { rows, columns } = samples;
  if (rows < 3) return Number.NaN; // a half is one image, which has no covariance
  const count = Math.min(rows, Math.max(fewest, Math.floor(budget / columns ** 2)));
  const part = count < rows ? subset(samples, count, seed) : samples;
  // Where a half is not some times the width, the singular values come from products between images, in place of the covariance.
  const distance =
    count >= 4 * columns
      ? (half: Uint32Array) => frechetDistance(momentsOf(part, half), reference)
      : distanceOfHalf(part, reference);
  const distances = Array.from({ length: replicates }, (_, replicate) =>
    distance(permutation(seed, streamOf(purposes[of], replicate), count).slice(0, Math.ceil(count / 2))),
  );
  return deviation(distances) * Math.sqrt(count / rows);
}

function momentsOf({ columns, data }: Matrix, chosen: Uint32Array): Moments {
  const count = chosen.length;
  const mean = new Float64Array(columns);
  for (const i of chosen) for (let j = 0; j < columns; j++) mean[j]! += data[i * columns + j]! / count;
  // [D, images]
  const scaled = new Float64Array(columns * count);
  const root = Math.sqrt(1 / (count - 1));
  for (const [at, i] of chosen.entries())
    for (let j = 0; j < columns; j++) scaled[j * count + at] = root * (data[i * columns + j]! - mean[j]!);
  const deviations = { rows: columns, columns: count, data: scaled };
  return { count, mean, covariance: timesTransposed(deviations, deviations).data };
}

function subset({ rows, columns, data }: Matrix, count: number, seed: number): Matrix {
  const kept = new Float64Array(count * columns);
  for (const [to, i] of permutation(seed, 2 ** 50 + 2, rows)
    .slice(0, count)
    .entries())
    kept.set(data.subarray(i * columns, (i + 1) * columns), to * columns);
  return { rows: count, columns, data: kept };
}

/**
 * The Frechet distance of some of the images to the reference. With x_i the images less the reference's mean and Sigma = F^T F of the
 * reference, the eigenvalues of Sigma Sigma_half are those of the products of F x_i, less their mean, between images.
 */
function distanceOfHalf(samples: Matrix, reference: Moments): (chosen: Uint32Array) => number {
  const { rows, columns } = samples;
  const centred = { rows, columns, data: samples.data.map((value, at) => value - reference.mean[at % columns]!) };
  const plain = timesTransposed(centred, centred).data;
  const factored = timesTransposed(centred, factorOf(reference));
  const products = timesTransposed(factored, factored).data;
  let referenceTrace = 0;
  for (let j = 0; j < columns; j++) referenceTrace += reference.covariance[j * columns + j]!;

  return (chosen) => {
    const n = chosen.length;
    const average = (value: (i: number) => number): number => chosen.reduce((sum, i) => sum + value(i), 0) / n;
    const rowMeans = (matrix: Float64Array): Float64Array =>
      Float64Array.from(chosen, (i) => average((j) => matrix[i * rows + j]!));
    const shift = rowMeans(plain).reduce((sum, value) => sum + value, 0) / n; // |mu_half - mu|^2
    const trace = ((average((i) => plain[i * rows + i]!) - shift) * n) / (n - 1);
    const means = rowMeans(products);
    const mean = means.reduce((sum, value) => sum + value, 0) / n;
    const gram = new Float64Array(n * n);
    for (let a = 0; a < n; a++)
      for (let b = 0; b <= a; b++)
        gram[a * n + b] = (products[chosen[a]! * rows + chosen[b]!]! - means[a]! - means[b]! + mean) / (n - 1);
    const root = eigenvalues(gram, n).reduce((sum, value) => sum + Math.sqrt(Math.max(value, 0)), 0);
    return shift + trace + referenceTrace - 2 * root;
  };
}
