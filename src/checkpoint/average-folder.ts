import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { ModelError } from "../errors.ts";
import { reopenedFile } from "../files/file-source.ts";
import { openSafetensors } from "../formats/safetensors.ts";
import { float32, type Shape } from "../ndarray.ts";
import { reconstruct, type TrackedAverage, trackedAverages, trackedLengths } from "../training/averages.ts";
import type { Weights } from "./model.ts";
import { averagesFolder, averagesFormat, fileName, stepOf } from "./run-folder.ts";

/** An average that was put together. */
export interface Average {
  /** The step that it ends at. */
  readonly step: number;
  /** How many snapshots it was put together from. */
  readonly snapshots: number;
  /** The average, by state-dict key. */
  readonly weights: Weights;
  /** See `Reconstruction`. */
  readonly error: number;
}

/** Settings of `averageOfLength`. */
export interface AverageOptions {
  /** The step that the average ends at, by default that of the newest snapshot; it must be a snapshot's. */
  readonly step?: number | undefined;
  /** Ends the work before the next tensor, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * The average of a length, from the snapshots of a run. They are read one tensor at a time.
 *
 * @param checkpoints folder of the network's checkpoints.
 * @param length as a share of the steps: see `PowerProfile`.
 * @throws ModelError where there are no snapshots, none of that step, or damaged ones; UsageError for a length that cannot be had.
 */
export async function averageOfLength(
  checkpoints: string,
  length: number,
  { step, signal }: AverageOptions = {},
): Promise<Average> {
  const folder = averagesFolder(checkpoints);
  const steps = await snapshotSteps(folder);
  const end = step ?? steps.at(-1)!;
  if (!steps.includes(end))
    throw new ModelError(`${folder}: there is no snapshot of step ${end}; there are those of ${steps.join(", ")}`);
  // A profile is 0 beyond its own step, so later snapshots could only be taken away again.
  const used = steps.filter((other) => other <= end);
  const snapshots = used.flatMap((step) =>
    trackedAverages.map((name) => ({ name, step, length: trackedLengths[name] })),
  );
  const { factors, error } = reconstruct(snapshots, { step: end, length });

  const sums: Sums = new Map();
  for (const [i, { name, step }] of snapshots.entries())
    await addTensors(sums, join(folder, fileName(step)), name, factors[i]!, signal);
  const weights = Object.fromEntries(
    [...sums].map(([key, { shape, sum }]) => [key, float32(shape, Float32Array.from(sum))]),
  );
  return { step: end, snapshots: used.length, weights, error };
}

/** The steps that a folder has snapshots of, ascending. Throws ModelError where there are none. */
async function snapshotSteps(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const steps = names.flatMap((name) => stepOf(name) ?? []).sort((a, b) => a - b);
  if (steps.length > 0) return steps;
  throw new ModelError(
    `${folder}: there are no snapshots of averages; \`guidestar train denoiser --power-ema\` keeps them`,
  );
}

/** Sums by parameter, in float64. */
type Sums = Map<string, { readonly shape: Shape; readonly sum: Float64Array }>;

/** Adds the tensors of one average of a snapshot, times a factor, to the sums. */
async function addTensors(
  sums: Sums,
  path: string,
  average: TrackedAverage,
  factor: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { tensors, metadata } = openSafetensors(reopenedFile(path), path);
  if (metadata.format !== averagesFormat)
    throw new ModelError(`${path}: expected averages of a training run, but its format is ${metadata.format}`);
  for (const [full, tensor] of Object.entries(tensors)) {
    if (!full.startsWith(`${average}/`)) continue;
    // Reading and adding don't wait for anything, so that nobody else's turn would come, a signal's neither.
    await setImmediate();
    signal?.throwIfAborted();
    const { shape, data } = tensor.read();
    const key = full.slice(average.length + 1);
    const total = sums.get(key) ?? { shape, sum: new Float64Array(data.length) };
    sums.set(key, total);
    if (total.sum.length !== data.length)
      throw new ModelError(`${path}: "${full}" is not of the shape that other snapshots have`);
    for (let j = 0; j < data.length; j++) total.sum[j]! += factor * data[j]!;
  }
}
