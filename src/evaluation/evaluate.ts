import { DataError } from "../errors.ts";
import type { FeatureSet } from "./features.ts";
import type { Estimate } from "./metrics/bootstrap.ts";
import { classAccuracy, inceptionScore } from "./metrics/class-scores.ts";
import { frechetDistance } from "./metrics/frechet.ts";
import { frechetError } from "./metrics/frechet-error.ts";
import { kernelDistance } from "./metrics/kernel-distance.ts";
import type { Matrix } from "./metrics/matrix.ts";
import { precisionRecall } from "./metrics/precision-recall.ts";
import type { EngineOptions } from "./metrics/products.ts";
import { type Moments, moments, type Statistics } from "./metrics/statistics.ts";

/** Real images: their features; or their statistics, from which the Frechet distances alone follow. */
export interface ReferenceSet extends Partial<FeatureSet> {
  /** Mean and covariance of all its features; without them they are taken from `features`. */
  readonly statistics?: Statistics;
}

/** Settings of `evaluate`. */
export interface EvaluateOptions extends EngineOptions {
  /** Neighbours of precision and recall. Default 3. */
  readonly k?: number;
  /** Seed of the resamples. Default 0. */
  readonly seed?: number;
  /** Class of each sample, a column of its probabilities: for the accuracy. */
  readonly labels?: ArrayLike<number>;
  /** Called before each metric. */
  readonly onMetric?: (name: string) => void;
}

/** Metrics of samples; those that nothing was given for are missing. */
export interface Report {
  /** How many images the numbers are of. */
  readonly counts: {
    readonly samples: number;
    /** Images behind the reference's statistics; undefined without a reference, or where its file doesn't say. */
    readonly reference: number | undefined;
    /** Images whose features are there, for precision, recall and the kernel distance. */
    readonly referenceFeatures: number;
  };
  /** Frechet distance of the features, 0 and up, smaller is better. FID is that of Inception's features (Heusel et al. 2017). */
  readonly fid?: Estimate;
  /** The same of the spatial features (Nash et al. 2021). */
  readonly sfid?: Estimate;
  /** Share of samples that could be real, 0 ... 1 (Kynkäänniemi et al. 2019). */
  readonly precision?: Estimate;
  /** Share of the reference that samples cover, 0 ... 1 (Kynkäänniemi et al. 2019). */
  readonly recall?: Estimate;
  /** Kernel distance of the features, smaller is better (Bińkowski et al. 2018). */
  readonly kid?: Estimate;
  /** How sure and how varied the detector's classes are, 1 ... K, larger is better (Salimans et al. 2016). */
  readonly inceptionScore?: Estimate;
  /** Share of samples that the detector takes for the class they were asked to be, 0 ... 1. */
  readonly accuracy?: Estimate;
  /** What a reader of the numbers must know. */
  readonly warnings: readonly string[];
}

/**
 * All metrics for which something is there.
 *
 * @param reference undefined: only what needs none
 * @throws DataError where the sets don't fit each other, are too small, or hold what is no number
 */
export async function evaluate(
  samples: FeatureSet,
  reference: ReferenceSet | undefined,
  { backend, signal, seed = 0, k = 3, labels, onMetric = () => {} }: EvaluateOptions,
): Promise<Report> {
  const engine = { backend, ...(signal && { signal }) };
  const distance = async (points: Matrix, real: Moments, of: "frechet" | "spatial"): Promise<Estimate> => {
    const value = frechetDistance(await moments([points], engine), real);
    return { value, error: frechetError(points, real, { seed, of }) };
  };
  const momentsOf = async (given: Moments | undefined, points: Matrix | undefined): Promise<Moments | undefined> =>
    given ?? (points && moments([points], engine));

  let metrics: Omit<Report, "counts" | "warnings"> = {};
  let count: number | undefined;
  const warnings: string[] = [];
  if (reference) {
    onMetric("Frechet distance");
    const real = await momentsOf(reference.statistics, reference.features);
    if (!real) throw new DataError("a reference needs features or statistics, but has neither");
    count = real.count;
    metrics = { ...metrics, fid: await distance(samples.features, real, "frechet") };
    warnings.push(...biasWarnings(samples.features, count));
    const spatial = samples.spatial && (await momentsOf(reference.statistics?.spatial, reference.spatial));
    if (spatial) metrics = { ...metrics, sfid: await distance(samples.spatial!, spatial, "spatial") };
  }
  if (reference?.features) {
    onMetric("precision and recall");
    metrics = { ...metrics, ...(await precisionRecall(reference.features, samples.features, { k, seed, ...engine })) };
    onMetric("kernel distance");
    metrics = { ...metrics, kid: await kernelDistance(reference.features, samples.features, { seed, ...engine }) };
  }
  if (samples.probabilities) {
    const { probabilities } = samples;
    metrics = { ...metrics, inceptionScore: inceptionScore(probabilities, { seed }) };
    if (labels) metrics = { ...metrics, accuracy: classAccuracy(probabilities, labels, { seed }) };
  }
  const referenceFeatures = reference?.features?.rows ?? 0;
  return { counts: { samples: samples.features.rows, reference: count, referenceFeatures }, ...metrics, warnings };
}

/** Images for each dimension. Between equal normal distributions N images add about D^2 / 4N: at 10 D, 2.5% of the total variance. */
const enough = 10;

function biasWarnings({ rows, columns }: Matrix, reference: number | undefined): string[] {
  const least = Math.min(rows, reference ?? Number.POSITIVE_INFINITY);
  if (least >= enough * columns) return [];
  const singular = least <= columns ? "; the covariance of so few is singular" : "";
  return [
    `${least} images are few for features of ${columns} dimensions${singular}: the Frechet distance is biased upwards, so compare it only with others of the same counts, or use at least ${enough * columns} images; the kernel distance has no such bias`,
  ];
}
