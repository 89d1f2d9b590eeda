import { listed } from "../../class-names.ts";
import { DataError } from "../../errors.ts";
import { type NumpyArray, readNpy } from "../../formats/npy.ts";
import type { ValueRange } from "../../value-range.ts";
import type { Entry } from "../entries.ts";
import { arrayItems, baseName, byName, type Item, type Layout } from "../layout.ts";
import { labelsIn } from "./labels.ts";
import { imagesOf, type PixelArray, pixelArray, valuesIn } from "./pixels.ts";

/** Names of images and labels in files that people have: of samples, EDM, Keras, MedMNIST and others. */
const TRAIN = {
  images: ["arr_0", "images", "train_images", "x_train", "X_train", "trainx", "image", "samples", "x", "X", "data"],
  labels: [
    "arr_1",
    "labels",
    "train_labels",
    "y_train",
    "Y_train",
    "trainy",
    "label",
    "classes",
    "y",
    "Y",
    "targets",
    "target",
  ],
};
const TEST = {
  images: ["test_images", "x_test", "X_test", "testx"],
  labels: ["test_labels", "y_test", "Y_test", "testy"],
};
const VAL = {
  images: ["val_images", "x_val", "X_val", "x_valid", "X_valid"],
  labels: ["val_labels", "y_val", "Y_val", "y_valid", "Y_valid"],
};

/** Images and labels of one split. */
interface Part {
  readonly images: PixelArray;
  readonly labels: { readonly name: string; readonly array: NumpyArray } | undefined;
}

const nameOf = ({ path }: Entry): string => baseName(path).replace(/\.npy$/, "");

/**
 * Arrays of an `.npz`, or a `.npy`: images [N, H, W], [N, H, W, C] or [N, C, H, W] of bytes or other numbers, and labels [N], [N, 1] or one-hot
 * [N, K], as numbers or names. Test images may be there under names of their own; else those of a validation set are held out.
 */
export const npzImages: Layout = async (entries, options) => {
  const arrays = entries.filter(({ path }) => path.endsWith(".npy") && !path.includes("/"));
  if (arrays.length === 0) return undefined;
  const find = (names: readonly string[]): Entry | undefined =>
    names.map((name) => arrays.find((entry) => nameOf(entry) === name)).find(Boolean);
  const partOf = async (names: typeof TRAIN, otherwise?: Entry): Promise<Part | undefined> => {
    const images = find(names.images) ?? otherwise;
    const labels = options.labels === "none" ? undefined : find(names.labels);
    if (!images) return undefined;
    const array = labels && { name: nameOf(labels), array: readNpy(await labels.read(), nameOf(labels)) };
    return { images: pixelArray(await images.read(), nameOf(images)), labels: array };
  };
  const train = await partOf(TRAIN, arrays.length === 1 ? arrays[0] : undefined);
  if (!train) {
    if (arrays.length < entries.length) return undefined;
    throw new DataError(
      `expected images in an array called ${listed(TRAIN.images.slice(0, 4))} but the arrays are ${listed(arrays.map(nameOf))}`,
    );
  }
  const test = (await partOf(TEST)) ?? (await partOf(VAL));
  return planOf(train, test, options.range);
};

function planOf(train: Part, test: Part | undefined, range: ValueRange | undefined) {
  // Labels that one of the splits lacks are no labels of the data set.
  const labelled = train.labels !== undefined;
  const held = test && (!labelled || test.labels) ? test : undefined;
  const parts = held ? [train, held] : [train];
  const values = valuesIn(
    parts.map(({ images }) => images),
    range,
  );
  const labels = parts.map(({ images, labels }) =>
    labels && labelled ? labelsIn(labels, images.count) : new Array<string>(images.count).fill(""),
  );
  const classes = labelled ? [...new Set(labels.flat())].sort(byName) : [];
  const places = new Map(classes.map((name, label) => [name, label]));
  const items = (part: number): Item[] =>
    arrayItems(
      parts[part]!.images.name,
      labels[part]!.map((name) => places.get(name) ?? 0),
      imagesOf(parts[part]!.images, values),
    );
  const notes = [
    ...values.notes,
    ...(test && held === undefined ? [`${test.images.name} is not used: it has no labels`] : []),
    ...(held && VAL.images.includes(held.images.name) ? [`${held.images.name} is held out, as the test images`] : []),
  ];
  return {
    layout: labelled ? ("npz" as const) : ("npz without labels" as const),
    classes,
    labelsFrom: train.labels?.name,
    notes,
    train: items(0),
    test: held ? items(1) : [],
    skipped: [],
  };
}
