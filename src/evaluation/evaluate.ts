import { counted } from "../counted.ts";
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
  /** What there were too few images for: which metric, which set, and how many it takes. */
  readonly leftOut: readonly string[];
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

  const leftOut: string[] = [];
  const warnings: string[] = [];
  /** Are there images enough? What is left out is said. */
  const suffices = (metric: string, real: number | undefined, least: number, why: string): boolean => {
    const few = tooFew(samples.features.rows, real, least);
    if (few) leftOut.push(`${metric} left out: ${few}, but ${why} at least ${least}`);
    return few === undefined;
  };
  let metrics: Omit<Report, "counts" | "leftOut" | "warnings"> = {};
  let count: number | undefined;
  const given = reference?.statistics;
  if (reference && !given && !reference.features)
    throw new DataError("a reference needs features or statistics, but has neither");
  if (
    reference &&
    suffices("Frechet distances are", given ? undefined : reference.features!.rows, 2, "a covariance takes")
  ) {
    onMetric("Frechet distance");
    const real = (await momentsOf(given, reference.features))!;
    count = real.count;
    metrics = { ...metrics, fid: await distance(samples.features, real, "frechet") };
    warnings.push(...biasWarnings(samples.features, count));
    const spatial = samples.spatial && (await momentsOf(given?.spatial, reference.spatial));
    if (spatial) metrics = { ...metrics, sfid: await distance(samples.spatial!, spatial, "spatial") };
  }
  if (reference?.features) {
    const { features } = reference;
    if (suffices("precision and recall are", features.rows, k + 1, `the ${k} nearest neighbours of one (k) take`)) {
      onMetric("precision and recall");
      metrics = { ...metrics, ...(await precisionRecall(features, samples.features, { k, seed, ...engine })) };
    }
    if (suffices("the kernel distance is", features.rows, 2, "it takes")) {
      onMetric("kernel distance");
      metrics = { ...metrics, kid: await kernelDistance(features, samples.features, { seed, ...engine }) };
    }
  }
  metrics = { ...metrics, ...classScores(samples, labels, seed) };
  if (reference && Object.keys(metrics).length === 0) throw new DataError(leftOut.join("; "));
  checkNumbers(metrics);
  const referenceFeatures = reference?.features?.rows ?? 0;
  return {
    counts: { samples: samples.features.rows, reference: count, referenceFeatures },
    ...metrics,
    leftOut,
    warnings,
  };
}

/** What the detector's classes tell; nothing where it has none. */
const classScores = ({ probabilities }: FeatureSet, labels: ArrayLike<number> | undefined, seed: number) => ({
  ...(probabilities && { inceptionScore: inceptionScore(probabilities, { seed }) }),
  ...(probabilities && labels && { accuracy: classAccuracy(probabilities, labels, { seed }) }),
});

/** Which of the sets has fewer images than that, as words; undefined where none has. */
function tooFew(samples: number, reference: number | undefined, least: number): string | undefined {
  const counted = (count: number, noun: string): string => (count === 1 ? `is 1 ${noun}` : `are ${count} ${noun}s`);
  if (samples < least) return `there ${counted(samples, "sample")}`;
  return reference !== undefined && reference < least
    ? `of the reference there ${counted(reference, "image")}`
    : undefined;
}

/** Throws DataError where a metric is no number: features beyond 1e150 have squares that float64 cannot hold. */
function checkNumbers(metrics: Readonly<Record<string, Estimate>>): void {
  for (const [name, { value, error }] of Object.entries(metrics))
    if (!Number.isFinite(value) || error === Number.POSITIVE_INFINITY)
      throw new DataError(
        `${name} of these features is ${value} ± ${error}: they are too large for squares in float64; divide those of both sets by one number`,
      );
}

/** Images for each dimension. Between equal normal distributions N images add about D^2 / 4N: at 10 D, 2.5% of the total variance. */
const enough = 10;

function biasWarnings({ rows, columns }: Matrix, reference: number | undefined): string[] {
  const least = Math.min(rows, reference ?? Number.POSITIVE_INFINITY);
  if (least >= enough * columns) return [];
  const singular = least <= columns ? "; the covariance of so few is singular" : "";
  return [
    `${counted(least, "image")} ${least === 1 ? "is" : "are"} few for features of ${columns} dimensions${singular}: the Frechet distance is biased upwards, so compare it only with others of the same counts, or use at least ${enough * columns} images; the kernel distance has no such bias`,
  ];
}
