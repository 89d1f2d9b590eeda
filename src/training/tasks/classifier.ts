import type { ProcessConfig } from "../../diffusion/noise-schedule.ts";
import { networkInput, qSample } from "../../diffusion/process.ts";
import type { NDArray } from "../../ndarray.ts";
import { oneHot } from "../../tensor/functions.ts";
import { readRight } from "../../tensor/read-right.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { noiseSampler } from "../draws.ts";
import type { Tensors } from "../step/adamw.ts";
import type { InitialWeights, Task } from "../task.ts";
import { type Batch, type DataOptions, heldOutSeed } from "./data.ts";

/** What the loss of a noisy classifier depends on. */
export interface ClassifierLossOptions {
  /** Logits [N, classes] of x_t [N, C, H, W] at the network's timestep [N]. */
  network: (params: Tensors, x: Tensor, t: Tensor) => Tensor;
  /** Whose noise it is to know. */
  process: ProcessConfig;
}

/** What `classifierTask` and `trainClassifier` train, and on what. */
export interface ClassifierOptions extends ClassifierLossOptions, DataOptions {
  /** Initial weights of the network, by name. */
  weights: InitialWeights;
}

/** Values of a batch of the classifier's loss: images and noise [N, C, H, W], the noise level of each image and its label, each [N]. */
export type ClassifierBatch = Readonly<Record<"x0" | "noise" | "timestep" | "alpha" | "sigma", NDArray<"float32">>> & {
  readonly y: NDArray<"int32">;
};
/** The same as a traced loss sees them. */
export type ClassifierTensors = Readonly<Record<Exclude<keyof ClassifierBatch, "y">, Tensor>> & {
  readonly y: Tensor<"int32">;
};

/**
 * The loss of a noisy classifier p(y | x_t): cross-entropy on noised images, a traced function of its weights and a `ClassifierBatch`.
 * Section 4, Dhariwal & Nichol 2021. Metric: `accuracy`.
 */
export const classifierLoss =
  ({ network, process }: ClassifierLossOptions) =>
  (params: Tensors, { x0, noise, timestep, alpha, sigma, y }: ClassifierTensors) => {
    const xt = qSample(x0, noise, { alpha, sigma });
    const logits = network(params, networkInput(xt, timestep, process), timestep);
    const target = oneHot(y, logits.shape[1]!); // [N, classes]
    return { objective: logits.logSoftmax().mul(target).sum(1).neg(), metrics: { accuracy: readRight(logits, y) } };
  };

/** Training a noisy classifier: timesteps, all alike, and noise are drawn afresh for every image. */
export function classifierTask(options: ClassifierOptions): Task<ClassifierBatch> {
  const { weights, process, batchAt, seed = 0, heldOut = [] } = options;
  const noised = (noiseAt: ReturnType<typeof noiseSampler>, step: number, { x, y }: Batch): ClassifierBatch => {
    const { noise, coefficients } = noiseAt(step, x.shape);
    const { timestep, alpha, sigma } = coefficients;
    return { x0: x, noise, timestep, alpha, sigma, y };
  };
  const noiseAt = noiseSampler(process, { seed });
  const heldNoiseAt = noiseSampler(process, { seed: heldOutSeed });
  return {
    weights,
    batchAt: async (step) => noised(noiseAt, step, await batchAt(step)),
    loss: classifierLoss(options),
    ...(heldOut.length > 0 && { heldOut: heldOut.map((batch, i) => () => noised(heldNoiseAt, i + 1, batch)) }),
  };
}
