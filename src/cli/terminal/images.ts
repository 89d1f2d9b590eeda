import { counted } from "../../counted.ts";
import { type Dataset, type DatasetOptions, openDataset } from "../../data/dataset.ts";
import { type ImageNeeds, openImagesFor } from "../../data/model-images.ts";
import type { Progress } from "./progress.ts";

interface Shown {
  readonly shown: Progress;
  readonly signal: AbortSignal;
}

/** Opens images, for a model where one is given, and shows how far it is and what was left out. */
export async function openImages(
  path: string,
  model: ImageNeeds | undefined,
  options: DatasetOptions,
  { shown, signal }: Shown,
): Promise<Dataset> {
  const watched: DatasetOptions = {
    ...options,
    signal,
    onProgress: ({ done, total }) => shown.update(done, total, "images decoded"),
  };
  const dataset = await (model ? openImagesFor(path, model, watched) : openDataset(path, watched));
  shown.end();
  for (const note of dataset.notes ?? []) shown.say(note);
  const [first, ...others] = dataset.skipped;
  if (first)
    shown.say(
      `skipped ${counted(others.length + 1, "file")}, the first ${first.path}: ${first.reason} (\`guidestar data check\` lists them)`,
    );
  return dataset;
}
