import { DataError } from "../../errors.ts";
import { type BootstrapOptions, bootstrappedMean, type Estimate, purposes } from "./bootstrap.ts";
import type { Matrix } from "./matrix.ts";
import { nearestRows, roundingOf, squaredDistance } from "./nearest.ts";
import {
  blockedProducts,
  centreOf,
  checkWidths,
  type EngineOptions,
  type ProductOptions,
  squaredNorms,
} from "./products.ts";

/** Settings of `precisionRecall`. */
export interface PrecisionRecallOptions extends BootstrapOptions, EngineOptions {
  /** Neighbours that make the radius of an image; 3 in the paper. */
  readonly k?: number;
}

/** What `precisionRecall` gives; each is a share, 0 ... 1, and its error. */
export interface PrecisionRecall {
  /** The share of samples inside the reference's manifold: how many could be real. */
  readonly precision: Estimate;
  /** The share of reference images inside the samples' manifold: how much of the data the samples cover. */
  readonly recall: Estimate;
}

/**
 * Improved precision and recall (Kynkäänniemi et al. 2019, Eq. 1 and 2). A manifold is balls around the features of images, each as wide as
 * the distance to its k-th nearest neighbour in its own set. Distances are float32 products of the engine, and again float64
 * differences wherever rounding could decide. The errors are those of the shares, the balls held as they are.
 *
 * @throws DataError where the widths differ, a number is not finite, or a set has no k neighbours
 */
export async function precisionRecall(
  reference: Matrix,
  samples: Matrix,
  { k = 3, backend, signal, ...bootstrap }: PrecisionRecallOptions,
): Promise<PrecisionRecall> {
  checkWidths(reference, samples);
  for (const [what, { rows }] of [
    ["the reference has", reference],
    ["there are", samples],
  ] as const)
    if (rows <= k)
      throw new DataError(`${what} ${rows} images, but the ${k} nearest neighbours of one take at least ${k + 1}`);
  centreOf(samples, "samples"); // for its check
  const options = { centre: centreOf(reference, "reference"), backend, signal };
  const referenceRadii = await neighbourDistances(reference, k, options);
  const sampleRadii = await neighbourDistances(samples, k, options);
  const { insideReference, insideSamples } = await memberships(
    { points: reference, radii: referenceRadii },
    { points: samples, radii: sampleRadii },
    options,
  );
  return {
    precision: bootstrappedMean(insideReference, purposes.precision, bootstrap),
    recall: bootstrappedMean(insideSamples, purposes.recall, bootstrap),
  };
}

/** The squared distance of every row to its k-th nearest other row. */
async function neighbourDistances(points: Matrix, k: number, options: ProductOptions): Promise<Float64Array> {
  const { squared } = await nearestRows(points, undefined, k, options);
  return Float64Array.from({ length: points.rows }, (_, i) => squared[i * k + k - 1]!);
}

interface Manifold {
  readonly points: Matrix;
  /** Squared radius of the ball around each point. */
  readonly radii: Float64Array;
}

/** For each point of one manifold whether (1) or not (0) it is in a ball of the other. */
async function memberships(reference: Manifold, samples: Manifold, options: ProductOptions) {
  const insideReference = new Uint8Array(samples.points.rows);
  const insideSamples = new Uint8Array(reference.points.rows);
  const rounding = roundingOf(reference.points.columns);
  const [r, s] = [squaredNorms(reference.points, options.centre), squaredNorms(samples.points, options.centre)];
  for await (const { a, b, products, unit, stride } of blockedProducts(reference.points, samples.points, options))
    for (let row = 0; row < a.count; row++) {
      const i = a.first + row;
      const radius = reference.radii[i]!;
      for (let column = 0; column < b.count; column++) {
        const j = b.first + column;
        if (insideReference[j]! && insideSamples[i]!) continue;
        const both = r[i]! + s[j]!;
        const distance = both - 2 * unit * products[row * stride + column]!;
        const other = samples.radii[j]!;
        const doubt = rounding * both;
        // Outside of both balls for certain: almost all pairs.
        if (distance - doubt > radius && distance - doubt > other) continue;
        const unsure = Math.abs(distance - radius) <= doubt || Math.abs(distance - other) <= doubt;
        const exact = unsure ? squaredDistance(reference.points, i, samples.points, j) : distance;
        if (exact <= radius) insideReference[j] = 1;
        if (exact <= other) insideSamples[i] = 1;
      }
    }
  return { insideReference, insideSamples };
}
