import type { NDArray } from "../../ndarray.ts";

/** Images x [N, C, H, W] in [-1, 1] and their classes y [N]. */
export interface Batch {
  /** [N, C, H, W] in [-1, 1]. */
  readonly x: NDArray<"float32">;
  /** [N] */
  readonly y: NDArray<"int32">;
}

/** Training data: the batch of update number `step` (1, 2, ...), the same however often and in whatever order asked. */
export type BatchAt = (step: number) => Batch | Promise<Batch>;

/** Data of a training run, of denoiser, classifier and score network alike. */
export interface DataOptions {
  /** The data. */
  batchAt: BatchAt;
  /** Of every random draw: noise, timesteps, dropped labels. 0 by default. */
  seed?: number;
  /** Images that are never trained on, in batches of one size: their loss is measured at checkpoints, always with the same noise. */
  heldOut?: readonly Batch[];
}

/** Seed of the noise of held-out images, the same in every run: so that runs can be compared. */
export const heldOutSeed = 7919;
