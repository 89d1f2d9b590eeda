import { createHash } from "node:crypto";
import type { ModelRecord } from "../../checkpoint/schema.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { DataError, UsageError } from "../../errors.ts";
import type { Progress } from "../progress.ts";

interface DataValues {
  readonly data: string | undefined;
  readonly size: number | undefined;
  readonly strict: boolean;
}

/**
 * Opens the images of a training run: of the size and channels of the model that they join, if there is one.
 *
 * @throws UsageError where no path was given; DataError where the images are not square or cannot be used
 */
export async function openTrainingData(
  { data, size, strict }: DataValues,
  existing: ModelRecord | undefined,
  shown: Progress,
  signal: AbortSignal,
): Promise<Dataset> {
  if (data === undefined) throw new UsageError("--data is missing: a folder or zip of CLASS/image");
  const open = (channels?: 1 | 3): Promise<Dataset> =>
    openDataset(data, {
      size: size ?? existing?.preprocessing.size,
      channels,
      strict,
      signal,
      onProgress: ({ done, total }) => shown.update(done, total, "images decoded"),
    });
  const asTheyAre = await open();
  const channels = existing?.imageShape[0];
  const fits = channels === undefined || channels === asTheyAre.imageShape[0];
  const dataset = fits ? asTheyAre : await open(channels === 1 ? 1 : 3);
  shown.end();
  const [, height, width] = dataset.imageShape;
  if (height !== width)
    throw new DataError(
      `${data}: networks need square images but these are ${width}x${height}; give --size ${Math.min(width, height)}`,
    );
  const { skipped } = dataset;
  if (skipped.length > 0)
    shown.say(
      `skipped ${skipped.length} files, the first ${skipped[0]!.path}: ${skipped[0]!.reason} (\`guidestar data check\` lists them)`,
    );
  return dataset;
}

/** SHA-256 of everything that training reads of a data set. */
export function fingerprintOf({ classes, imageShape, train }: Dataset): string {
  const hash = createHash("sha256").update(JSON.stringify([classes, imageShape]));
  return hash.update(train.labels).update(train.images).digest("hex");
}
