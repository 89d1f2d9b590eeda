import { resolve } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { batchSequence } from "../../data/batches.ts";
import { labelsFor } from "../../data/model-images.ts";
import { UsageError } from "../../errors.ts";
import { denoiserSignature } from "../../models/families.ts";
import { int32 } from "../../ndarray.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import { openImages } from "../terminal/images.ts";
import { labelValues } from "../terminal/label-options.ts";
import { flagOf } from "../terminal/option.ts";
import type { Progress } from "../terminal/progress.ts";
import { fingerprintOf } from "../train/data.ts";
import { checkSameData } from "../train/stored-options.ts";
import type { DistillValues } from "./command.ts";

/** Options that say how the teacher draws, and so have no meaning beside images. */
const ofTrajectories = ["maxCfgScale", "uses", "teacherSteps"] as const;

/**
 * The images that a student is tuned on, with the model's labels, and what its checkpoints keep of them; nothing where it learns of
 * trajectories.
 *
 * @param before config of the run that goes on
 * @throws UsageError for options of trajectories; DataError where the images are not the model's; ModelError where the run began with others
 */
export async function tuningImages(
  { data, batchSize, seed, ...reading }: DistillValues,
  given: ReadonlySet<string>,
  teacher: Model,
  before: JsonObject | undefined,
  around: { readonly shown: Progress; readonly signal: AbortSignal },
) {
  if (data === undefined) return undefined;
  const idle = ofTrajectories.filter((key) => given.has(key)).map(flagOf);
  if (idle.length > 0)
    throw new UsageError(
      `${idle.join(", ")}: says how the teacher draws, but a student that is tuned on --data asks no teacher; leave one out`,
    );
  const dataset = await openImages(data, teacher, { ...labelValues(reading), loose: true }, around);
  const { train, path } = dataset;
  const isTold = teacher.denoiser !== undefined && denoiserSignature(teacher.denoiser).classes !== undefined;
  const labelFor = isTold ? labelsFor(dataset, train, teacher) : () => 0;
  const fingerprint = fingerprintOf(dataset);
  if (before) checkSameData(path, fingerprint, before);
  const sequence = batchSequence(train, { batchSize, seed });
  return {
    dataset,
    batchAt: (step: number) => {
      const { x, y } = sequence(step);
      return { x, y: int32(y.shape, y.data.map(labelFor)) };
    },
    config: { data: resolve(path), fingerprint },
  };
}
