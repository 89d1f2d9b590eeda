import type { Model } from "../checkpoint/model.ts";
import type { Split } from "../data/content.ts";
import { type Dataset, openDataset } from "../data/dataset.ts";
import { tellsClasses } from "../data/layout.ts";
import { DataError } from "../errors.ts";
import { labelOf } from "../sampling/settings.ts";
import type { Progress } from "./progress.ts";

/** Opens images as the model's are: resized where that was asked for or its training did, grey or colour. Throws DataError where they are of another size. */
export async function openImages(
  path: string,
  model: Pick<Model, "imageShape" | "preprocessing" | "source">,
  size: number | undefined,
  shown: Progress,
  signal: AbortSignal,
): Promise<Dataset> {
  const [channels, height, width] = model.imageShape;
  const dataset = await openDataset(path, {
    size: size ?? model.preprocessing.size,
    channels: channels === 1 ? 1 : 3,
    loose: true,
    signal,
    onProgress: ({ done, total }) => shown.update(done, total, "images decoded"),
  });
  shown.end();
  const [, h, w] = dataset.imageShape;
  if (h !== height || w !== width)
    throw new DataError(
      `${path}: the images are ${w}x${h} but ${model.source} knows images of ${width}x${height}; give --size ${width} to resize and centre-crop them`,
    );
  const [first] = dataset.skipped;
  if (first)
    shown.say(
      `skipped ${dataset.skipped.length} files, the first ${first.path}: ${first.reason} (\`guidestar data check\` lists them)`,
    );
  return dataset;
}

/**
 * The model's label for each class that some images have, by its name.
 *
 * @param instead ends the message: what else can be done, as ", or give --class"
 * @throws DataError where the data tells no classes, or one that the model lacks
 */
export function labelsOf(
  { path, layout, classes }: Pick<Dataset, "path" | "layout" | "classes">,
  { labels }: Pick<Split, "labels">,
  model: Pick<Model, "classes" | "source">,
  instead = "",
): (label: number) => number {
  if (!tellsClasses(layout)) {
    const [why, remedy] =
      layout === "loose images"
        ? ["its images are in no class folders", "sort them into folders"]
        : ["it has no labels", "add them as arr_1"];
    throw new DataError(
      `${path}: ${why}, but ${model.source} is told one of the classes ${namesOf(model.classes)}; ${remedy}${instead}`,
    );
  }
  const known = new Map<number, number>();
  for (const label of new Set(labels))
    try {
      known.set(label, labelOf(classes[label]!, model));
    } catch (cause) {
      const remedy = layout === "class folders" ? "rename the folder" : "change its label";
      throw new DataError(
        `${path}: its class "${classes[label]}" is none of the model's (${namesOf(model.classes)}); ${remedy}${instead}`,
        { cause },
      );
    }
  return (label) => known.get(label)!;
}

/** Names in a line, the first twenty. */
export const namesOf = (classes: readonly string[]): string =>
  classes.length > 20 ? `${classes.slice(0, 20).join(", ")}, ... (${classes.length})` : classes.join(", ");
