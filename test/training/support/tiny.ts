import { ddpmProcess } from "../../../src/diffusion/process-config.ts";
import { float32, int32, type NDArray, sizeOf } from "../../../src/ndarray.ts";
import { integers, normals } from "../../../src/random.ts";
import type { Backend } from "../../../src/runtime/backend.ts";
import { conv2d, oneHot } from "../../../src/tensor/functions.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Tensors } from "../../../src/training/step/adamw.ts";
import type { DenoiserOptions } from "../../../src/training/tasks/denoiser.ts";
import type { TrainOptions } from "../../../src/training/train.ts";

/** A denoiser of two convolutions that compiles at once; its labels are 0 to 2, and 3 for none. */
export const tinyNetwork = (
  params: Tensors,
  x: Tensor,
  t: Tensor,
  { label: y }: { label?: Tensor<"int32"> | undefined },
): Tensor => {
  const time = t
    .mul(1 / 100)
    .reshape(-1, 1, 1, 1)
    .mul(params.time!.reshape(1, 4, 1, 1));
  const label = oneHot(y!, 4).matmul(params.label!).reshape(-1, 4, 1, 1);
  const h = conv2d(x, params.in!, undefined, { padding: 1 }).add(time).add(label);
  return conv2d(h.mul(h.sigmoid()), params.out!, undefined, { padding: 1 });
};

const normal = (stream: number, ...shape: number[]): NDArray<"float32"> =>
  float32(
    shape,
    normals(5, stream, sizeOf(shape)).map((z) => 0.3 * z),
  );

export const tinyWeights = {
  in: normal(0, 4, 1, 3, 3),
  time: normal(1, 4),
  label: normal(2, 4, 4),
  out: normal(3, 2, 4, 3, 3),
};

export const tinyProcess = ddpmProcess({ steps: 20, variance: "learned-range" });

/** Options of a run whose every part is in use: sampled timesteps, dropped labels, micro-batches, clipping, warm-up, decay. */
export function tinyRun(backend: Backend, steps: number): DenoiserOptions & TrainOptions {
  const batchSize = 16;
  return {
    backend,
    steps,
    network: tinyNetwork,
    weights: tinyWeights,
    process: tinyProcess,
    batchAt: (step) => ({
      x: float32([batchSize, 1, 4, 4], normals(8, step, batchSize * 16).map(Math.tanh)),
      y: int32([batchSize], integers(9, step, batchSize, 3)),
    }),
    seed: 1,
    classes: 3,
    labelDropout: 0.2,
    timesteps: "loss-second-moment",
    microBatch: 8,
    maxGradientNorm: 1,
    learningRate: 0.01,
    warmUpSteps: 2,
    decay: "cosine",
    weightDecay: 0.01,
    emaRate: 0.99,
    config: { batch: batchSize, seed: 1 },
  };
}
