import { coefficientsAt, drawsLevels, type LevelSampling, levelSampler } from "../diffusion/level-sampler.ts";
import { type CoefficientName, coefficients, noiseSchedule, type ProcessConfig } from "../diffusion/noise-schedule.ts";
import { timestepSampler } from "../diffusion/timestep-sampler.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { normals, uniforms } from "../random.ts";

/*
 * Every random number of a run is a function of its seed, its purpose and the step, so that a resumed run needs nothing but the step.
 * The purpose is the high 32-bit word of the stream, the step the low one; streams below 2^32 stay free for initial weights and data.
 */
const purposes = { noise: 1, timesteps: 2, labels: 3, places: 4, augmentations: 5 } as const;
const streamOf = (purpose: keyof typeof purposes, step: number): number => purposes[purpose] * 2 ** 32 + step;

/** The noise of a step's images, N(0, 1): the same for the same seed, step and shape. */
export const drawNoise = (seed: number, step: number, shape: Shape): NDArray<"float32"> =>
  float32(shape, normals(seed, streamOf("noise", step), sizeOf(shape)));

/** One number in [0, 1) for each of a step's images, to pick its timestep with. */
export const drawTimesteps = (seed: number, step: number, count: number): Float64Array =>
  uniforms(seed, streamOf("timesteps", step), count);

/** Numbers in [0, 1) that decide how a step's images are changed. */
export const drawAugmentations = (seed: number, step: number, count: number): Float64Array =>
  uniforms(seed, streamOf("augmentations", step), count);

/** One number of N(0, 1) for each of a step's images, to pick its noise level with. */
export const drawLevelNormals = (seed: number, step: number, count: number): Float32Array =>
  normals(seed, streamOf("timesteps", step), count);

/** `count` numbers in [0, 1) of a step, to choose trajectories and places of them with. */
export const drawPlaces = (seed: number, step: number, count: number): Float64Array =>
  uniforms(seed, streamOf("places", step), count);

/**
 * A step's labels [N], each replaced by the null label with probability `dropout`: what a network needs that is to be sampled with
 * classifier-free guidance. Algorithm 1, Ho & Salimans 2022.
 */
export function dropLabels(
  seed: number,
  step: number,
  labels: NDArray<"int32">,
  nullLabel: number,
  dropout: number,
): NDArray<"int32"> {
  const u = uniforms(seed, streamOf("labels", step), labels.data.length);
  return { ...labels, data: labels.data.map((label, i) => (u[i]! < dropout ? nullLabel : label)) };
}

/** Settings of `noiseSampler`. */
export interface NoiseSamplerOptions {
  /** Of every draw; 0 by default. */
  readonly seed?: number;
  /** How noise levels are picked; `uniform` by default, over the timesteps. */
  readonly timesteps?: LevelSampling;
}

/** What a loss on noised images needs beside the images. */
export type NoiseDraws = {
  /** N(0, 1), of the images' shape [N, C, H, W]. */
  readonly noise: NDArray<"float32">;
  /** The process at the noise level of each image: `timestep`, `alpha`, `sigma` and the others of `Coefficients`, each [N]. */
  readonly coefficients: Readonly<Record<CoefficientName, NDArray<"float32">>>;
};

/**
 * Draws noise and a noise level for every image of a step. A pure function of the step (1, 2, ...), so that it serves in a task's
 * `batchAt`.
 *
 * @returns a function of the step and the images' shape [N, C, H, W].
 * @throws UsageError where the process contradicts itself, or has no such levels.
 */
export function noiseSampler(
  process: ProcessConfig,
  { seed = 0, timesteps = "uniform" }: NoiseSamplerOptions = {},
): (step: number, shape: Shape) => NoiseDraws {
  const schedule = noiseSchedule(process);
  const levels = drawsLevels(process, timesteps) && levelSampler(process, timesteps);
  const uniform = timestepSampler("uniform", schedule.timesteps.length);
  return (step, shape) => {
    const count = shape[0]!;
    const draws = {
      uniforms: () => drawTimesteps(seed, step, count),
      normals: () => drawLevelNormals(seed, step, count),
    };
    return {
      noise: drawNoise(seed, step, shape),
      coefficients: levels
        ? coefficientsAt(process, levels(draws))
        : coefficients(schedule, uniform.sample(draws.uniforms()).indices),
    };
  };
}
