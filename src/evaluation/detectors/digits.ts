import { bundledWeights } from "../../checkpoint/model-folder.ts";
import { digitFeatures } from "../../models/digit-features.ts";
import { matrixOf } from "../metrics/matrix.ts";
import type { Moments } from "../metrics/statistics.ts";
import type { DetectorReference, DetectorWithReference } from "./folder-detector.ts";
import { type NetworkDetectorOptions, networkDetector } from "./network-detector.ts";

/** File of the bundled feature network, in the folder of bundled models. `bench/digit-features.ts` trained it. */
const file = "digits/features.safetensors";

/** Images of the MNIST test set. */
const testImages = 10_000;

/**
 * The bundled detector of handwritten digits [N, 1, 28, 28]: trained on clean images, apart from the classifier that guides. It reads
 * 99.3% of the MNIST test set as labelled; its file's metadata say how it was trained.
 */
export async function digitsDetector(backend: NetworkDetectorOptions["backend"]): Promise<DetectorWithReference> {
  const { tensors, metadata } = bundledWeights(file);
  const about = { name: "digits", imageShape: [1, 28, 28], classes: metadata.classes!.split(",") } as const;
  const detector = await networkDetector({ ...about, network: digitFeatures, weights: tensors, backend });
  return { ...detector, ...about, preprocessing: {}, reference: digitsReference() };
}

/**
 * What the digits detector sees in the MNIST training set: statistics of all its images, and the features of 2000 of them; and in 2000 images of
 * the test set.
 */
export function digitsReference(): DetectorReference {
  const { tensors, metadata } = bundledWeights("digits/reference-statistics.safetensors");
  const momentsOf = (ending: string): Moments => ({
    count: Number(metadata.images),
    mean: Float64Array.from(tensors[`mu${ending}`]!.data),
    covariance: Float64Array.from(tensors[`sigma${ending}`]!.data),
  });
  const { features, real, real_s } = bundledWeights("digits/reference-features.safetensors").tensors;
  const { metadata: trained } = bundledWeights(file);
  const accuracy = Number(trained.testAccuracy);
  return {
    name: "MNIST training set",
    accuracy: { value: accuracy, error: Math.sqrt((accuracy * (1 - accuracy)) / testImages), images: testImages },
    statistics: { ...momentsOf(""), spatial: momentsOf("_s") },
    features: matrixOf(features!),
    ...(real && real_s && { real: { features: matrixOf(real), spatial: matrixOf(real_s) } }),
  };
}
