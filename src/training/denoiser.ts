import { coefficientsAt, drawsLevels, type LogNormal, levelSampler } from "../diffusion/level-sampler.ts";
import { type LossKind, type LossWeight, trainingLoss } from "../diffusion/losses.ts";
import type { NoiseLevel } from "../diffusion/noise-level.ts";
import {
  type Coefficients,
  coefficientSpecs,
  coefficients,
  noiseSchedule,
  type ProcessConfig,
} from "../diffusion/noise-schedule.ts";
import { networkInput, qSample } from "../diffusion/process.ts";
import { checkProcess, learnsVariance } from "../diffusion/process-config.ts";
import { type TimestepSamplerState, type TimestepSampling, timestepSampler } from "../diffusion/timestep-sampler.ts";
import { UsageError } from "../errors.ts";
import { float32, type NDArray } from "../ndarray.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, i32 } from "../tensor/trace.ts";
import type { Tensors } from "./adamw.ts";
import { drawLevelNormals, drawNoise, drawTimesteps, dropLabels } from "./draws.ts";
import type { Weights } from "./events.ts";
import { type StepOptions, shapesOf, trainingGraph } from "./program.ts";
import type { Task } from "./task.ts";

/** Images x [N, C, H, W] in [-1, 1] and their classes y [N]. */
export interface Batch {
  readonly x: NDArray<"float32">;
  readonly y: NDArray<"int32">;
}

/** Training data: the batch of update number `step` (1, 2, ...), the same however often asked. */
export type BatchAt = (step: number) => Batch | Promise<Batch>;

/** Data of a training run, of denoiser and classifier alike. */
export interface DataOptions {
  batchAt: BatchAt;
  /** Of every random draw: noise, timesteps, dropped labels. */
  seed: number;
}

/** What the denoiser's graph of a training step depends on. */
export interface DenoiserGraphOptions extends StepOptions {
  /** Network output for x_t, timestep and label; with a learned variance in twice the channels. */
  network: (params: Tensors, x: Tensor, t: Tensor, y?: Tensor) => Tensor;
  /** Initial weights of the network. */
  weights: Weights;
  batchSize: number;
  /** [C, H, W]. */
  imageShape: readonly [number, number, number];
  process: ProcessConfig;
  loss?: LossKind;
  /** Of the squared error at each noise level; none by default. */
  lossWeight?: LossWeight;
  /** Number of classes of a network that is told the class; its null label is this number. None by default. */
  classes?: number;
}

export interface DenoiserOptions extends DenoiserGraphOptions, DataOptions {
  /** How noise levels are picked: timesteps of the chain, or by the logarithm of sigma / alpha, of which those of a chain are few. */
  timesteps?: TimestepSampling | LogNormal;
  /** Share of the images that are trained with the null label, for classifier-free guidance. */
  labelDropout?: number;
}

/**
 * One training step of a denoiser. Its `batch`: images `x0` and `noise` [N, C, H, W], a loss `weight` [N], the chain's
 * `coefficients` at each image's timestep, each [N], and labels `y` [N] where there are classes. Metrics: `mse`, `vb`.
 */
export function denoiserGraph({
  network,
  weights,
  process,
  batchSize,
  imageShape,
  loss: kind = "rescaledMse",
  lossWeight,
  classes,
  ...options
}: DenoiserGraphOptions) {
  const images = f32(batchSize, ...imageShape);
  const perImage = f32(batchSize);
  const specs = {
    x0: images,
    noise: images,
    weight: perImage,
    coefficients: coefficientSpecs(batchSize),
    ...(classes === undefined ? {} : { y: i32(batchSize) }),
  };
  const chain = noiseSchedule(process);
  return trainingGraph(
    shapesOf(weights),
    specs,
    (params, { x0, noise, weight, y, ...batch }) => {
      const c = batch.coefficients as Coefficients;
      const xt = qSample(x0, noise, c);
      const output = network(params, networkInput(xt, c.timestep, process), c.timestep, y);
      const { loss, ...metrics } = trainingLoss(kind, output, { x0, noise, xt }, c, chain, lossWeight);
      return { objective: loss.mul(weight), metrics };
    },
    options,
  );
}

/** The noise levels of each step, where they are not those of the chain. Throws UsageError where the loss needs a chain's. */
function levelDraws(options: DenoiserOptions): ((step: number) => NoiseLevel[]) | undefined {
  const { process, timesteps = "uniform", loss = "rescaledMse", batchSize, seed } = options;
  checkProcess(process);
  if (!drawsLevels(process, timesteps)) return undefined;
  if (learnsVariance(process) || process.prediction === "previous" || loss === "kl" || loss === "rescaledKl")
    throw new UsageError(
      "noise levels between those of the chain have no step before them, which learned variances, the variational bound and the " +
        "mean of x_{t-1} are about: predict something else with a fixed variance and the squared error, or pick timesteps of the chain",
    );
  const sampler = levelSampler(process, timesteps);
  return (step) =>
    sampler({
      uniforms: () => drawTimesteps(seed, step, batchSize),
      normals: () => drawLevelNormals(seed, step, batchSize),
    });
}

/** Training a denoiser: timesteps, noise and dropped labels are drawn afresh for every image. */
export function denoiserTask(options: DenoiserOptions): Task {
  const {
    weights,
    process,
    batchAt,
    batchSize,
    imageShape,
    seed,
    timesteps = "uniform",
    classes,
    labelDropout = 0,
  } = options;
  if (labelDropout > 0 && classes === undefined)
    throw new UsageError("labelDropout needs a network that is told the class: give classes, or leave it out");
  const levels = levelDraws(options);
  const chain = noiseSchedule(process);
  const ofChain = typeof timesteps === "string" ? timesteps : "uniform";
  let sampler = timestepSampler(ofChain, chain.timesteps.length);
  let drawn: ReturnType<typeof sampler.sample>;
  const drawAt = (step: number) => {
    if (levels)
      return { weight: new Float32Array(batchSize).fill(1), coefficients: coefficientsAt(process, levels(step)) };
    drawn = sampler.sample(drawTimesteps(seed, step, batchSize));
    return { weight: drawn.weights, coefficients: coefficients(chain, drawn.indices) };
  };
  return {
    graph: () => denoiserGraph(options),
    weights,
    batchSize,
    async batchAt(step) {
      const { x, y } = await batchAt(step);
      const { weight, coefficients } = drawAt(step);
      return {
        x0: x,
        noise: drawNoise(seed, step, [batchSize, ...imageShape]),
        weight: float32([batchSize], weight),
        coefficients,
        ...(classes === undefined ? {} : { y: dropLabels(seed, step, y, classes, labelDropout) }),
      };
    },
    observe(objective) {
      if (levels) return;
      sampler.update(
        drawn.indices,
        objective.map((value, i) => value / drawn.weights[i]!),
      );
    },
    remember: () => sampler.state(),
    restore(memory) {
      sampler = timestepSampler(ofChain, chain.timesteps.length, memory as TimestepSamplerState);
    },
  };
}
