import { coefficients, noiseSchedule } from "../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../src/diffusion/process-config.ts";
import { benchmarkConfigs } from "../src/models/adm/presets.ts";
import { unet } from "../src/models/adm/unet.ts";
import { float32, int32, type NDArray, type Shape, sizeOf } from "../src/ndarray.ts";
import { initialize } from "../src/nn/initialize.ts";
import { normals } from "../src/random.ts";
import { usualMicroBatch } from "../src/recipes/recipe.ts";
import { updateValues } from "../src/training/step/update.ts";
import { taskGraph } from "../src/training/task.ts";
import { denoiserLoss } from "../src/training/tasks/denoiser.ts";

export const batch = 16;
export const side = 32;
export const linear = ddpmProcess({ schedule: "linear", variance: "learned-range" });

/** Numbers of N(0, 1). */
export const noise = (shape: Shape, stream = 0): NDArray<"float32"> =>
  float32(shape, normals(1, stream, sizeOf(shape)));

/** Weights as a network starts, but none of them zero: zeros may be faster than numbers. */
export function weightsOf(network: Parameters<typeof initialize>[0]): Record<string, NDArray<"float32">> {
  const weights = initialize(network, 2);
  return Object.fromEntries(
    Object.entries(weights).map(([key, { shape, data }], i) => [
      key,
      data.every((value) => value === 0)
        ? float32(
            shape,
            noise(shape, i).data.map((value) => value / 50),
          )
        : float32(shape, data),
    ]),
  );
}

/** How a benchmark network is trained, in micro-batches as the command line trains its large preset. */
export function trainingOptions(name: keyof typeof benchmarkConfigs) {
  const network = unet(benchmarkConfigs[name]);
  return {
    network,
    weights: weightsOf(network),
    process: linear,
    microBatch: usualMicroBatch("base"),
    classes: 10,
    loss: "hybrid" as const,
    vlbWeight: 1,
    maxGradientNorm: 1,
  };
}

/** A training step of a benchmark network: its graph, initial state and the inputs of a step. */
export function trainingStep(name: keyof typeof benchmarkConfigs) {
  const options = trainingOptions(name);
  const { weights } = options;
  const zeros = Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, float32(shape)]));
  const images = [batch, 3, side, side];
  const timesteps = Array.from({ length: batch }, (_, i) => 60 * i + 10);
  const inputs = (update: number) => ({
    batch: {
      x0: noise(images, 1),
      noise: noise(images, update),
      weight: float32([batch], new Float32Array(batch).fill(1)),
      coefficients: coefficients(noiseSchedule(linear), timesteps),
      y: labels,
    },
    update: updateValues(update, 1e-4),
  });
  const graph = taskGraph({ loss: denoiserLoss(options) }, weights, inputs(1).batch, options);
  return { graph, state: { params: weights, m: zeros, v: zeros, ema: weights }, inputs };
}

export const labels = int32(
  [batch],
  Array.from({ length: batch }, (_, i) => i % 10),
);
