import { type Background, usualBackground } from "../background.ts";
import { type ClassNames, labelOf, listed } from "../class-names.ts";
import { DataError } from "../errors.ts";
import type { Split } from "./content.ts";
import { type Dataset, type DatasetOptions, openDataset } from "./dataset.ts";
import { tellsClasses } from "./layout.ts";
import { isSingleFile } from "./source.ts";

/** What a model, or its record, says of its images. */
export interface ImageNeeds {
  /** [C, H, W], C is 1 or 3. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** What its training images went through. */
  readonly preprocessing: {
    readonly size?: number | undefined;
    /** What transparent pixels showed; white where it is not said. */
    readonly background?: Background | undefined;
  };
  /** Names the model in messages. */
  readonly source: string;
}

/**
 * Opens images for a model, as `openDataset` does: resized as its training images were where `size` is not given, on their background where
 * `background` is not given (another one is noted), and in grey or colour as it has them. Single pictures, and those in no class folder, are opened too, unless `loose` is false.
 *
 * @throws DataError where they are of another size than the model's, and as `openDataset` does
 */
export async function openImagesFor(
  path: string,
  { imageShape: [channels, height, width], preprocessing, source }: ImageNeeds,
  { size = preprocessing.size, background, ...options }: Omit<DatasetOptions, "channels"> = {},
): Promise<Dataset> {
  const own = preprocessing.background ?? usualBackground;
  const asked = { ...options, size, background: background ?? own };
  const dataset = await openDataset(path, { loose: true, ...asked, channels: channels === 1 ? 1 : 3 });
  const [, h, w] = dataset.imageShape;
  if (h !== height || w !== width) {
    const remedy =
      height === width
        ? `give --size ${width} to resize and centre-crop them`
        : `resize them to ${width}x${height} first`;
    throw new DataError(
      `${path}: the images are ${w}x${h} but ${source} knows images of ${width}x${height}; ${remedy}`,
    );
  }
  if (dataset.background === own) return dataset;
  const note = `transparent pixels show ${dataset.background}, as asked, but showed ${own} when ${source} was trained`;
  return { ...dataset, notes: [...(dataset.notes ?? []), note] };
}

/**
 * A function from the data's labels to the model's, which goes by names of classes; for labels that some images have.
 *
 * @param instead ends the messages: what else can be done, as ", or give --class"
 * @throws DataError where the data tells no classes, or has images of one that the model lacks
 */
export function labelsFor(
  { path, layout, classes }: Pick<Dataset, "path" | "layout" | "classes">,
  { labels }: Pick<Split, "labels">,
  model: ClassNames,
  instead = "",
): (label: number) => number {
  if (!tellsClasses(layout)) {
    const [why, remedy] =
      layout !== "loose images"
        ? ["it has no labels", "add them as arr_1"]
        : isSingleFile(path)
          ? ["a picture tells no class", "put it into a folder that has the name of its class"]
          : ["its images are in no class folders", "sort them into folders"];
    throw new DataError(
      `${path}: ${why}, but ${model.source} is told one of the classes ${listed(model.classes)}; ${remedy}${instead}`,
    );
  }
  const known = new Map<number, number>();
  for (const label of new Set(labels))
    try {
      known.set(label, labelOf(classes[label]!, model));
    } catch (cause) {
      const remedy = layout === "class folders" ? "rename the folder" : "change its label";
      throw new DataError(
        `${path}: its class "${classes[label]}" is none of the model's (${listed(model.classes)}); ${remedy}${instead}`,
        { cause },
      );
    }
  return (label) => known.get(label)!;
}
