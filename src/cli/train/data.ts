import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { usualBackground } from "../../background.ts";
import type { ModelRecord } from "../../checkpoint/schema.ts";
import type { Dataset } from "../../data/dataset.ts";
import { trainedClasses } from "../../data/labels/trained-classes.ts";
import { DataError, UsageError } from "../../errors.ts";
import { openImages } from "../terminal/images.ts";
import { type labelOptions, labelValues } from "../terminal/label-options.ts";
import type { Values } from "../terminal/option.ts";
import type { Progress } from "../terminal/progress.ts";

interface DataValues extends Pick<Values<typeof labelOptions>, keyof typeof labelOptions> {
  readonly data: string | undefined;
  readonly size: number | undefined;
  readonly strict: boolean;
  readonly out: string;
}

/**
 * Opens the images of a training run: of the size and channels of the model that they join, if there is one.
 *
 * @param remembered whether the path is that of a checkpoint, not one that was given now
 * @throws UsageError where no path was given; DataError where the images cannot be used
 */
export async function openTrainingData(
  { data, size, strict, out, ...reading }: DataValues,
  remembered: boolean,
  existing: ModelRecord | undefined,
  shown: Progress,
  signal: AbortSignal,
): Promise<Dataset> {
  if (data === undefined)
    throw new UsageError(
      "--data is missing: a folder, zip or tar of CLASS/image, or another data set (`guidestar train denoiser --help` lists them)",
    );
  const model = existing && { ...existing, source: out };
  const own = existing && (existing.preprocessing.background ?? usualBackground);
  const { background = own } = reading;
  if (background !== own && own !== undefined)
    throw new UsageError(
      `--background is ${background}, but the model in ${out} was trained with transparent pixels on ${own}; leave --background out, or train into a new folder`,
    );
  const options = { size, strict, ...labelValues({ ...reading, background }), loose: false };
  const opened = await openImages(data, model, options, { shown, signal }).catch((cause: unknown) => {
    if (!remembered || existsSync(data)) throw cause;
    throw new DataError(`${data}: the images of this run are no longer there; give --data with their new place`, {
      cause,
    });
  });
  const dataset = trainedClasses(opened);
  if (dataset !== opened) shown.say(dataset.notes!.at(-1)!);
  return dataset;
}

/** SHA-256 of everything that training reads of a data set. */
export function fingerprintOf({ classes, imageShape, train }: Dataset): string {
  const hash = createHash("sha256").update(JSON.stringify([classes, imageShape]));
  return hash.update(train.labels).update(train.images).digest("hex");
}
