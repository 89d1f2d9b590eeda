import { bundledWeights } from "../checkpoint/model-folder.ts";
import { digitFeatures } from "../models/digit-features.ts";
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
