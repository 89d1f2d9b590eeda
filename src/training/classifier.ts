import { coefficientsAt, levelSampler } from "../diffusion/level-sampler.ts";
import { coefficients, noiseSchedule, type ProcessConfig } from "../diffusion/noise-schedule.ts";
import { networkInput, qSample } from "../diffusion/process.ts";
import { isContinuous } from "../diffusion/process-config.ts";
import { oneHot, readRight, type Tensor } from "../tensor/tensor.ts";
import { f32, i32 } from "../tensor/trace.ts";
import type { Tensors } from "./adamw.ts";
import type { DataOptions } from "./denoiser.ts";
import { drawNoise, drawTimesteps } from "./draws.ts";
import type { Weights } from "./events.ts";
import { type StepOptions, shapesOf, trainingGraph } from "./program.ts";
import type { Task } from "./task.ts";

export interface ClassifierGraphOptions extends StepOptions {
  /** Logits [N, classes] of x_t [N, C, H, W] at the network's timestep [N]. */
  network: (params: Tensors, x: Tensor, t: Tensor) => Tensor;
  /** Initial weights of the network. */
  weights: Weights;
  batchSize: number;
  /** [C, H, W]. */
  imageShape: readonly [number, number, number];
}

export interface ClassifierOptions extends ClassifierGraphOptions, DataOptions {
  process: ProcessConfig;
}

/**
 * One training step of a noisy classifier p(y | x_t): cross-entropy on noised images. Dhariwal & Nichol 2021, section 4.
 *
 * Its `batch`: images `x0` and `noise` [N, C, H, W], labels `y` [N], and `timestep`, `alpha`, `sigma` of each image [N].
 */
export function classifierGraph({ network, weights, batchSize, imageShape, ...options }: ClassifierGraphOptions) {
  const images = f32(batchSize, ...imageShape);
  const perImage = f32(batchSize);
  const specs = { x0: images, noise: images, timestep: perImage, alpha: perImage, sigma: perImage, y: i32(batchSize) };
  return trainingGraph(
    shapesOf(weights),
    specs,
    (params, { x0, noise, timestep, alpha, sigma, y }) => {
      const logits = network(params, qSample(x0, noise, { alpha, sigma }), timestep);
      const target = oneHot(y, logits.shape[1]!); // [N, classes]
      return { objective: logits.logSoftmax().mul(target).sum(1).neg(), metrics: { accuracy: readRight(logits, y) } };
    },
    options,
  );
}

/** Training a noisy classifier: timesteps, all alike, and noise are drawn afresh for every image. */
export function classifierTask(options: ClassifierOptions): Task {
  const { weights, process, batchAt, batchSize, imageShape, seed } = options;
  const chain = noiseSchedule(process);
  const levels = isContinuous(process) && levelSampler(process, "uniform");
  const coefficientsOf = (uniforms: Float64Array) =>
    levels
      ? coefficientsAt(process, levels({ uniforms: () => uniforms, normals: () => [] }))
      : coefficients(
          chain,
          Array.from(uniforms, (u) => Math.floor(u * chain.timesteps.length)),
        );
  const network: ClassifierOptions["network"] = (params, x, t) =>
    options.network(params, networkInput(x, t, process), t);
  return {
    graph: () => classifierGraph({ ...options, network }),
    weights,
    batchSize,
    async batchAt(step) {
      const { x, y } = await batchAt(step);
      const { timestep, alpha, sigma } = coefficientsOf(drawTimesteps(seed, step, batchSize));
      return { x0: x, noise: drawNoise(seed, step, [batchSize, ...imageShape]), timestep, alpha, sigma, y };
    },
  };
}
