import type { NDArray } from "../../ndarray.ts";
import { oneHot } from "../../tensor/functions.ts";
import { readRight } from "../../tensor/read-right.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Tensors } from "../step/adamw.ts";
import type { InitialWeights, Task } from "../task.ts";
import type { BatchAt } from "./data.ts";

/** What `detectorTask` trains, and on what. */
export interface DetectorTaskOptions {
  /** What is seen in images x [N, C, H, W], of which the loss reads the logits [N, classes]. */
  readonly network: (params: Tensors, x: Tensor) => { readonly logits: Tensor };
  /** Initial weights of the network, by name. */
  readonly weights: InitialWeights;
  /** Clean images and their labels. */
  readonly batchAt: BatchAt;
  /** Share of the target that is spread over all classes (Szegedy et al. 2016, section 7); 0.1 by default. */
  readonly labelSmoothing?: number;
}

/** Values of a batch: images [N, C, H, W] and labels [N]. */
export type DetectorBatch = { readonly x: NDArray<"float32">; readonly y: NDArray<"int32"> };

/** Training a detector: cross-entropy of the classes of clean images, with smoothed labels. Metric: `accuracy`. */
export const detectorTask = ({
  network,
  weights,
  batchAt,
  labelSmoothing = 0.1,
}: DetectorTaskOptions): Task<DetectorBatch> => ({
  weights,
  async batchAt(step) {
    const { x, y } = await batchAt(step);
    return { x, y };
  },
  loss(params, { x, y }) {
    const { logits } = network(params, x);
    const logP = logits.logSoftmax();
    const own = logP.mul(oneHot(y, logits.shape[1]!)).sum(1);
    const objective = own
      .mul(1 - labelSmoothing)
      .add(logP.mean([1]).mul(labelSmoothing))
      .neg();
    return { objective, metrics: { accuracy: readRight(logits, y) } };
  },
});
