import { uniforms } from "../random.ts";
import { type EvaluateOptions, evaluate, type ReferenceSet, type Report } from "./evaluate.ts";
import type { FeatureSet } from "./features.ts";
import type { Estimate } from "./metrics/bootstrap.ts";
import type { Matrix } from "./metrics/matrix.ts";

/** A reference, and real images beside it. */
export interface RealReference extends ReferenceSet {
  /** What is seen in real images that are not among the reference's. */
  readonly real?: FeatureSet;
  /** Share of real images that the detector reads as labelled. */
  readonly accuracy?: (Estimate & { readonly images: number }) | undefined;
}

/** What real images get in place of samples: the floor of distances, which is not zero, and the ceiling of shares, which is not one. */
export interface RealReport extends Report {
  /** Which images they are, in words. */
  readonly what: string;
}

/** From so many times the images on, those that were taken out of a reference change nothing of its statistics. */
const large = 10;

/** The rows of a matrix at these places. */
function rowsAt({ columns, data }: Matrix, places: readonly number[]): Matrix {
  const chosen = new Float64Array(places.length * columns);
  for (const [to, from] of places.entries())
    chosen.set(data.subarray(from * columns, (from + 1) * columns), to * columns);
  return { rows: places.length, columns, data: chosen };
}

const at = (
  { features, spatial }: Pick<FeatureSet, "features" | "spatial">,
  places: readonly number[],
): FeatureSet => ({
  features: rowsAt(features, places),
  ...(spatial && { spatial: rowsAt(spatial, places) }),
});

/** The numbers 0 ... count - 1 in an order that the seed decides. */
function shuffled(count: number, seed: number): number[] {
  const keys = uniforms(seed, 2 ** 50, count);
  return Array.from({ length: count }, (_, i) => i).sort((a, b) => keys[a]! - keys[b]! || a - b);
}

/**
 * Measures as many real images as there are samples in the way of samples: `real`, images beside the reference, where there are enough of them;
 * else images of the reference, against its others. Undefined where there are not enough of either.
 *
 * @param count of samples
 */
export async function realAgainstReal(
  count: number,
  { real, accuracy, ...reference }: RealReference,
  options: Omit<EvaluateOptions, "labels" | "onMetric">,
): Promise<RealReport | undefined> {
  const { seed = 0 } = options;
  const read = accuracy && { accuracy };
  const andRead = accuracy ? `; accuracy of ${accuracy.images}` : "";
  if (real && real.features.rows >= count) {
    const chosen = shuffled(real.features.rows, seed).slice(0, count);
    const report = await evaluate(at(real, chosen), reference, options);
    return { ...report, ...read, what: `${count} held-out images${andRead}` };
  }
  const { features, spatial, statistics } = reference;
  const rows = features?.rows ?? 0;
  if (!features || rows < count + 2) return undefined;
  const order = shuffled(rows, seed);
  const [chosen, others] = [order.slice(0, count), order.slice(count)];
  const samples = at({ features, ...(spatial && { spatial }) }, chosen);
  const rest = at({ features, ...(spatial && { spatial }) }, others);
  const isLarge = (statistics?.count ?? 0) >= large * rows;
  if (!isLarge && others.length < count) return undefined;
  const report = await evaluate(samples, { ...rest, ...(isLarge && { statistics: statistics! }) }, options);
  return { ...report, ...read, what: `${count} images of the reference, against its others${andRead}` };
}
