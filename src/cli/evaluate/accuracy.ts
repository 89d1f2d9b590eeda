import { join } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { imagesAt } from "../../data/batches.ts";
import type { Split } from "../../data/content.ts";
import { accuracyByTimestep, accuracyCsv, accuracyPlot, type TimestepAccuracy } from "../../evaluation/accuracy.ts";
import { permutation } from "../../random.ts";
import type { Backend } from "../../runtime/backend.ts";
import type { Progress } from "../terminal/progress.ts";

export interface MeasureOptions {
  readonly backend: Backend;
  readonly signal: AbortSignal;
  readonly shown: Progress;
  /** Most images, chosen at random by the seed. */
  readonly count: number;
  readonly timesteps?: number;
  readonly seed?: number;
  /** The model's label for one of the split's; the same by default. */
  readonly labelFor?: (label: number) => number;
}

/** Accuracy of a model's classifier by timestep, on some images of a split. */
export async function measureAccuracy(
  model: Model,
  split: Split,
  { backend, signal, shown, count, timesteps = 11, seed = 0, labelFor }: MeasureOptions,
): Promise<TimestepAccuracy[]> {
  // Far from the streams of the noise, which count images and timesteps.
  const chosen = permutation(seed, 2 ** 52, split.count).slice(0, count);
  const images = imagesAt(split, chosen, labelFor);
  const rows: TimestepAccuracy[] = [];
  for await (const row of accuracyByTimestep(model, images, { timesteps, seed, backend, signal })) {
    rows.push(row);
    shown.update(rows.length, timesteps, "timesteps of the classifier's accuracy");
  }
  shown.end();
  return rows;
}

/** `accuracy.csv` and `accuracy.svg` of a folder, and what they hold. */
export function accuracyFiles(
  folder: string,
  rows: readonly TimestepAccuracy[],
  { title, classes }: { title: string; classes: number },
): [path: string, contents: string][] {
  return [
    [join(folder, "accuracy.csv"), accuracyCsv(rows)],
    [join(folder, "accuracy.svg"), accuracyPlot(rows, { title, classes })],
  ];
}
