/**
 * How good samples are, and how likely images are to a model. A detector sees features in images; distances and scores are taken from
 * those. `evaluate` gives all of them in one report, `variationalBound` bits per dimension.
 *
 * ```ts
 * import { frechetDistance, matrixOf, moments } from "guidestar/evaluation";
 * import { openBackend } from "guidestar/node";
 * import { float32, normals } from "guidestar/tensor";
 *
 * await using backend = await openBackend();
 * const features = (seed, shift) => matrixOf(float32([5000, 2], normals(seed, 0, 10000).map((z) => z + shift)));
 * const real = await moments([features(0, 0)], { backend });
 * const samples = await moments([features(1, 1)], { backend });
 * console.log(frechetDistance(samples, real).toFixed(0)); // 2
 * ```
 *
 * @module guidestar/evaluation
 */

export type { Chart, Level, Line, Panel } from "../evaluation/chart/chart.ts";
export { chartSvg } from "../evaluation/chart/draw.ts";
export { type DetectorDeclaration, parseDeclaration } from "../evaluation/detectors/declaration.ts";
export type { Detector, Observation } from "../evaluation/detectors/detector.ts";
export { checkFits, type ImagesToSee } from "../evaluation/detectors/fits.ts";
export type { DetectorReference, DetectorWithReference } from "../evaluation/detectors/folder-detector.ts";
export { type LabelledBatch, type LookOptions, lookAtData, type Seen } from "../evaluation/detectors/look.ts";
export {
  type FeatureNetwork,
  type NetworkDetectorOptions,
  networkDetector,
} from "../evaluation/detectors/network-detector.ts";
export { type OnnxDetectorOptions, onnxDetector } from "../evaluation/detectors/onnx-detector.ts";
export { type EvaluateOptions, evaluate, type ReferenceSet, type Report } from "../evaluation/evaluate.ts";
export {
  collectFeatures,
  type FeatureOptions,
  type FeatureSet,
  features,
  type Images,
} from "../evaluation/features.ts";
export { type Arrays, featuresFrom, featuresNpz, statisticsFrom, statisticsNpz } from "../evaluation/files.ts";
export { type Bound, type BoundTerm, boundCsv, collectBound } from "../evaluation/likelihood/bound.ts";
export {
  type BoundEvent,
  type BoundOptions,
  type ImageSource,
  variationalBound,
} from "../evaluation/likelihood/likelihood.ts";
export type { BootstrapOptions, Estimate } from "../evaluation/metrics/bootstrap.ts";
export { classAccuracy, inceptionScore } from "../evaluation/metrics/class-scores.ts";
export { frechetDistance } from "../evaluation/metrics/frechet.ts";
export { type FrechetErrorOptions, frechetError } from "../evaluation/metrics/frechet-error.ts";
export { type KernelDistanceOptions, kernelDistance } from "../evaluation/metrics/kernel-distance.ts";
export { type Matrix, matrixOf } from "../evaluation/metrics/matrix.ts";
export {
  type PrecisionRecall,
  type PrecisionRecallOptions,
  precisionRecall,
} from "../evaluation/metrics/precision-recall.ts";
export type { EngineOptions } from "../evaluation/metrics/products.ts";
export {
  type Moments,
  moments,
  type Statistics,
  type StatisticsOptions,
  statistics,
} from "../evaluation/metrics/statistics.ts";
export { type RealReference, type RealReport, realAgainstReal } from "../evaluation/real.ts";
