import { bundledWeights } from "../../checkpoint/model-folder.ts";
import { digitFeatures } from "../../models/digit-features.ts";
import type { ReferenceSet } from "../evaluate.ts";
import { type Matrix, matrixOf } from "../metrics/matrix.ts";
import type { Moments } from "../metrics/statistics.ts";
import type { Detector } from "./detector.ts";
import { type NetworkDetectorOptions, networkDetector } from "./network-detector.ts";

/** File of the bundled feature network, in the folder of bundled models. `bench/digit-features.ts` trained it. */
const file = "digits/features.safetensors";

/**
 * The bundled detector of handwritten digits [N, 1, 28, 28]: trained on clean images, apart from the classifier that guides. It reads
 * 99.3% of the MNIST test set as labelled; its file's metadata say how it was trained.
 */
export function digitsDetector(backend: NetworkDetectorOptions["backend"]): Promise<Detector> {
  const { tensors, metadata } = bundledWeights(file);
  return networkDetector({
    name: "digits",
    imageShape: [1, 28, 28],
    classes: metadata.classes!.split(","),
    network: digitFeatures,
    weights: tensors,
    backend,
  });
}

/** What the digits detector sees in the MNIST training set: statistics of all its images, and the features of 2000 of them. */
export function digitsReference(): Required<Pick<ReferenceSet, "statistics">> & { features: Matrix; name: string } {
  const { tensors, metadata } = bundledWeights("digits/reference-statistics.safetensors");
  const momentsOf = (ending: string): Moments => ({
    count: Number(metadata.images),
    mean: Float64Array.from(tensors[`mu${ending}`]!.data),
    covariance: Float64Array.from(tensors[`sigma${ending}`]!.data),
  });
  return {
    name: "MNIST training set",
    statistics: { ...momentsOf(""), spatial: momentsOf("_s") },
    features: matrixOf(bundledWeights("digits/reference-features.safetensors").tensors.features!),
  };
}
