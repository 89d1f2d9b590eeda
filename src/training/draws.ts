import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { normals, uniforms } from "../random.ts";

/*
 * Every random number of a run is a function of its seed, its purpose and the step, so that a resumed run needs nothing but the step.
 * The purpose is the high 32-bit word of the stream, the step the low one; streams below 2^32 stay free for initial weights and data.
 */
const purposes = { noise: 1, timesteps: 2, labels: 3 } as const;
const streamOf = (purpose: keyof typeof purposes, step: number): number => purposes[purpose] * 2 ** 32 + step;

/** The noise of a step's images, N(0, 1). */
export const drawNoise = (seed: number, step: number, shape: Shape): NDArray<"float32"> =>
  float32(shape, normals(seed, streamOf("noise", step), sizeOf(shape)));

/** One number in [0, 1) per image, to pick its timestep with. */
export const drawTimesteps = (seed: number, step: number, count: number): Float64Array =>
  uniforms(seed, streamOf("timesteps", step), count);

/** One number of N(0, 1) per image, to pick its noise level with. */
export const drawLevelNormals = (seed: number, step: number, count: number): Float32Array =>
  normals(seed, streamOf("timesteps", step), count);

/** The labels, each replaced by the null label with probability `dropout`. Ho & Salimans, 2022, algorithm 1. */
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
