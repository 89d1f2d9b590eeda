import { drawsLevels, type TimestepSampling } from "../../diffusion/level-sampler.ts";
import { type LossOptions, trainingLoss } from "../../diffusion/losses.ts";
import { type Coefficients, coefficients, noiseSchedule, type ProcessConfig } from "../../diffusion/noise-schedule.ts";
import { networkInput, qSample } from "../../diffusion/process.ts";
import { checkProcess, learnsVariance } from "../../diffusion/process-config.ts";
import { type TimestepSamplerState, timestepSampler } from "../../diffusion/timestep-sampler.ts";
import { UsageError } from "../../errors.ts";
import { float32, type NDArray, type Shape } from "../../ndarray.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { assignNoise } from "../batch/assignment.ts";
import { augmented } from "../batch/augment.ts";
import type { Json } from "../checkpoint.ts";
import { drawNoise, drawTimesteps, dropLabels, noiseSampler } from "../draws.ts";
import type { Tensors } from "../step/adamw.ts";
import type { InitialWeights, Task, TaskMemory } from "../task.ts";
import { type Batch, type DataOptions, heldOutSeed } from "./data.ts";

/** What the loss of a denoiser depends on. */
export interface DenoiserLossOptions extends LossOptions {
  /**
   * Network output for x_t [N, C, H, W], timestep [N], label [N] and changes [N, augmentSize], where there are; with a learned variance in twice the channels. A family's `build`
   * gives one.
   */
  network: (
    params: Tensors,
    x: Tensor,
    t: Tensor,
    given: { label?: Tensor<"int32"> | undefined; augment?: Tensor | undefined },
  ) => Tensor;
  /** What the network is trained to undo, and what it predicts. */
  process: ProcessConfig;
}

/** What `denoiserTask` and `trainDenoiser` train, and on what. */
export interface DenoiserOptions extends DenoiserLossOptions, DataOptions {
  /** Initial weights of the network, by name. */
  weights: InitialWeights;
  /** How noise levels are picked; `uniform` by default. */
  timesteps?: TimestepSampling;
  /** Number of classes of a network that is told the class; its null label is this number. None by default. */
  classes?: number;
  /** Share of the images that are trained with the null label, for classifier-free guidance. */
  labelDropout?: number;
  /** Give a batch's noise to the images that it is nearest to; off by default. See `assignNoise`. */
  immiscible?: boolean | undefined;
  /** Probability of each change of an image, of which the network is told; 0 by default. See `augmented`. */
  augment?: number | undefined;
}

/** Values of a batch of the denoiser's loss. */
export type DenoiserBatch = {
  /** Images and their noise, [N, C, H, W]. */
  readonly x0: NDArray<"float32">;
  readonly noise: NDArray<"float32">;
  /** Factor on each image's loss, [N]. */
  readonly weight: NDArray<"float32">;
  /** The process at each image's noise level, each [N]. */
  readonly coefficients: Readonly<Record<keyof Coefficients, NDArray<"float32">>>;
  /** Labels [N] where the network is told the class. */
  readonly y?: NDArray<"int32">;
  /** How each image was changed, [N, augmentSize], where images are. */
  readonly augment?: NDArray<"float32">;
};
/** The same as a traced loss sees them. */
export type DenoiserTensors = Record<"x0" | "noise" | "weight", Tensor> & {
  coefficients: Coefficients;
  y?: Tensor<"int32">;
  augment?: Tensor;
};

/** The loss of a denoiser, a traced function of its weights and a `DenoiserBatch`. Metrics: `mse`, `vb`. */
export function denoiserLoss({ network, process, ...options }: DenoiserLossOptions) {
  const schedule = noiseSchedule(process);
  return (params: Tensors, { x0, noise, weight, coefficients: c, y, augment }: DenoiserTensors) => {
    const xt = qSample(x0, noise, c);
    const output = network(params, networkInput(xt, c.timestep, process), c.timestep, { label: y, augment });
    const { loss, ...metrics } = trainingLoss(output, { x0, noise, xt }, c, schedule, options);
    return { objective: loss.mul(weight), metrics };
  };
}

/** Throws UsageError where options contradict each other. */
function check(options: DenoiserOptions) {
  const { process, timesteps = "uniform", loss = "hybrid", classes, labelDropout = 0, augment = 0 } = options;
  if (!(augment >= 0 && augment <= 1))
    throw new UsageError(`augment must be a probability, from 0 to 1, but is ${augment}`);
  if (labelDropout > 0 && classes === undefined)
    throw new UsageError("labelDropout needs a network that is told the class: give classes, or leave it out");
  checkProcess(process);
  if (process.consistency)
    throw new UsageError("this process is a student's, which consistencyTask trains: leave consistency out");
  if (loss === "simple" && learnsVariance(process))
    throw new UsageError(
      'the loss "simple" teaches nothing about the variance, which this network is to learn: choose "hybrid", or a fixed variance',
    );
  if (!drawsLevels(process, timesteps)) return;
  if (learnsVariance(process) || process.prediction === "previous" || loss === "vlb")
    throw new UsageError(
      "noise levels between those of the chain have no step before them, which learned variances, the variational bound and the " +
        "mean of x_{t-1} are about: predict something else with a fixed variance and the squared error, or pick timesteps of the chain",
    );
}

/** Training a denoiser: timesteps, noise and dropped labels are drawn afresh for every image. */
export function denoiserTask(options: DenoiserOptions): Task<DenoiserBatch> {
  check(options);
  const { weights, batchAt, seed = 0, classes, labelDropout = 0, heldOut = [] } = options;
  const { immiscible = false, augment: probability = 0 } = options;
  const { drawAt, memory } = levels(options);
  const batchOf = ({ x, y }: Batch, draws: ReturnType<Draws>): DenoiserBatch => ({
    x0: x,
    ...draws,
    ...(classes === undefined ? {} : { y }),
  });
  const held = levels({ ...options, seed: heldOutSeed });
  const initial = held.memory?.initial ?? null;
  return {
    weights,
    async batchAt(step, memory) {
      const { x: images, y } = await batchAt(step);
      const { x, ...told } = probability > 0 ? augmented(images, { seed, step, probability }) : { x: images };
      const draws = drawAt(step, x.shape, memory);
      const labels = classes === undefined ? y : dropLabels(seed, step, y, classes, labelDropout);
      const noise = immiscible ? assignNoise(x, draws.noise) : draws.noise;
      return { ...batchOf({ x, y: labels }, { ...draws, noise }), ...told };
    },
    loss: denoiserLoss(options) as Task<DenoiserBatch>["loss"],
    ...(memory && { memory }),
    ...(heldOut.length > 0 && {
      heldOut: heldOut.map((batch, i) => () => batchOf(batch, held.drawAt(i + 1, batch.x.shape, initial))),
    }),
  };
}

type Draws = (step: number, shape: Shape, memory: Json) => Pick<DenoiserBatch, "noise" | "weight" | "coefficients">;

/** How noise levels are drawn, and what is remembered for it. */
function levels({ process, timesteps = "uniform", seed = 0 }: DenoiserOptions): { drawAt: Draws; memory?: TaskMemory } {
  if (timesteps !== "loss-second-moment") {
    const noiseAt = noiseSampler(process, { seed, timesteps });
    const ones = (count: number) => float32([count], new Float32Array(count).fill(1));
    return { drawAt: (step, shape) => ({ ...noiseAt(step, shape), weight: ones(shape[0]!) }) };
  }
  const schedule = noiseSchedule(process);
  const samplerAfter = (memory: Json) =>
    timestepSampler(timesteps, schedule.timesteps.length, memory as TimestepSamplerState);
  return {
    drawAt(step, shape, memory) {
      const count = shape[0]!;
      const { indices, weights } = samplerAfter(memory).sample(drawTimesteps(seed, step, count));
      return {
        noise: drawNoise(seed, step, shape),
        weight: float32([count], weights),
        coefficients: coefficients(schedule, indices),
      };
    },
    memory: {
      initial: timestepSampler(timesteps, schedule.timesteps.length).state,
      after(before, step, objective) {
        const sampler = samplerAfter(before);
        const { indices, weights } = sampler.sample(drawTimesteps(seed, step, objective.length));
        const losses = objective.map((value, i) => value / weights[i]!);
        return sampler.after(indices, losses).state;
      },
    },
  };
}
