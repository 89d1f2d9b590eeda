import type { DetectorRecord, StoredDetector } from "../../checkpoint/detector.ts";
import { readDetector } from "../../checkpoint/detector-folder.ts";
import type { ReferenceSet } from "../evaluate.ts";
import type { FeatureSet } from "../features.ts";
import type { Estimate } from "../metrics/bootstrap.ts";
import { type Matrix, matrixOf } from "../metrics/matrix.ts";
import type { Moments, Statistics } from "../metrics/statistics.ts";
import type { Detector } from "./detector.ts";
import { type NetworkDetectorOptions, networkDetector } from "./network-detector.ts";

/** What a detector saw in real images, to compare others with. */
export interface DetectorReference extends ReferenceSet {
  /** Which images they are. */
  readonly name: string;
  /** Of all of them. */
  readonly statistics: Statistics;
  /** Of some of them. */
  readonly features: Matrix;
  /** Share of images with labels, not trained on, that it reads as labelled. */
  readonly accuracy: Estimate & { readonly images: number };
  /** Of real images that are not among them. */
  readonly real?: FeatureSet;
}

/** A detector that knows the images it is for. */
export interface DetectorWithReference extends Detector {
  readonly imageShape: NonNullable<Detector["imageShape"]>;
  readonly classes: readonly string[];
  /** What becomes of pictures before it sees them. */
  readonly preprocessing: DetectorRecord["preprocessing"];
  readonly reference: DetectorReference;
}

/**
 * A detector that `guidestar train detector` made: of its folder, of the folder of a model that carries it, or of a bundled model by name.
 *
 * @throws ModelError where there is none, or it is damaged
 */
export async function loadDetector(
  nameOrFolder: string,
  backend: NetworkDetectorOptions["backend"],
): Promise<DetectorWithReference> {
  const stored = await readDetector(nameOrFolder);
  const { record, network, weights, name } = stored;
  const { classes, imageShape, preprocessing } = record;
  const detector = await networkDetector({ name, imageShape, classes, network, weights, backend });
  return { ...detector, imageShape, classes, preprocessing, reference: referenceOf(stored) };
}

function referenceOf({ record, statistics, features }: StoredDetector): DetectorReference {
  const { name, images, apart } = record.reference;
  const momentsOf = (ending: string): Moments => ({
    count: images,
    mean: Float64Array.from(statistics[`mu${ending}`]!.data),
    covariance: Float64Array.from(statistics[`sigma${ending}`]!.data),
  });
  const spatial = features.real_s;
  return {
    name,
    accuracy: record.accuracy,
    statistics: { ...momentsOf(""), ...(statistics.mu_s && { spatial: momentsOf("_s") }) },
    features: matrixOf(features.features!),
    // Images beside themselves would be too near to be a floor.
    ...(apart && { real: { features: matrixOf(features.real!), ...(spatial && { spatial: matrixOf(spatial) }) } }),
  };
}
