import type { NDArray } from "../../ndarray.ts";

/** What a detector sees in a batch of images. */
export interface Observation {
  /** [N, D], one point per image, between which distances mean something. */
  readonly features: NDArray<"float32">;
  /** [N, S], features that still know where in the image they are, for spatial FID. */
  readonly spatial?: NDArray<"float32">;
  /** [N, K]: p(class | image); each row sums to one. For the inception score and the accuracy of classes. */
  readonly probabilities?: NDArray<"float32">;
}

/**
 * A program from images to features. `networkDetector` makes one of a traced network, `onnxDetector` of any ONNX file. Which detector
 * gave some numbers is part of what they mean: those of two detectors cannot be compared.
 */
export interface Detector extends AsyncDisposable {
  /** For reports. */
  readonly name: string;
  /** Width D of the features. */
  readonly width: number;
  /** [C, H, W] of the images that it takes; undefined where it resizes any. */
  readonly imageShape: readonly [channels: number, height: number, width: number] | undefined;
  /** Names of the classes of `probabilities`, where known. */
  readonly classes?: readonly string[];
  /** Images [N, C, H, W] in [-1, 1], any N, to what is seen in each; an image's features don't depend on the others. */
  observe(images: NDArray<"float32">): Promise<Observation>;
}
