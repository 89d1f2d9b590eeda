import type { Background } from "../background.ts";
import { fitImage } from "../images/decode.ts";
import type { DecodedImage, Image } from "../images/image.ts";
import type { ValueRange } from "../value-range.ts";
import type { Entry, Skipped } from "./entries.ts";
import type { labelSources } from "./labels/sources.ts";

/** An image that a layout has found: its label indexes the plan's classes. `load` rejects where it cannot be read. */
export interface Item {
  readonly path: string;
  readonly label: number;
  /** With `size`, resized and centre-cropped to size x size. */
  load(size?: number): Promise<DecodedImage>;
}

/** How a folder or file holds images and classes. */
export type LayoutName =
  | "class folders"
  | "MNIST IDX"
  | "CIFAR-10 binary"
  | "CIFAR-100 binary"
  | "npz"
  | "npz without labels"
  | "labelled images"
  | "images without labels"
  | "loose images";

/** Whether the images are of classes that somebody chose; else there are no classes. */
export const tellsClasses = (layout: LayoutName): boolean =>
  layout !== "loose images" && layout !== "images without labels" && layout !== "npz without labels";

/** What a layout makes of a folder or zip, before anything is decoded. */
export interface Plan {
  readonly layout: LayoutName;
  /** Empty where there are no labels; then the items' label is 0. Classes of which nothing can be read are left out afterwards. */
  readonly classes: readonly string[];
  /** Where the labels are from, as "folder names", where the layout alone does not say it. */
  readonly labelsFrom?: string | undefined;
  /** What the user should know of how the files were understood: a line each. */
  readonly notes?: readonly string[];
  readonly train: readonly Item[];
  /** Empty where the layout holds no test images. */
  readonly test: readonly Item[];
  readonly skipped: readonly Skipped[];
}

/** How labels are found, where files leave a choice. */
export interface LabelOptions {
  /**
   * `from-folder`: folders only; `from-name`: names of files, CLASS_0001.png; `none`: no labels, the images alone. Without it, label
   * files (dataset.json, metadata.csv, metadata.jsonl, labels.csv), else folders.
   */
  readonly labels?: (typeof labelSources)[number] | undefined;
  /** Column of metadata.csv, metadata.jsonl or labels.csv that is the label. */
  readonly labelColumn?: string | undefined;
  /** What values other than bytes stand for, in arrays and TIFFs; without it, it is seen from the values. */
  readonly range?: ValueRange | undefined;
  /** What transparent pixels of pictures show: "white", the usual, "black" or "#rrggbb". */
  readonly background?: Background | undefined;
}

/** Recognises one layout; undefined where the files are not of it. Throws DataError where they are, but damaged. */
export type Layout = (entries: readonly Entry[], options: LabelOptions) => Promise<Plan | undefined>;

const collator = new Intl.Collator("en", { numeric: true });

/** Order of class and file names: numbers by value (2 before 10), the rest alphabetically; the same on every machine. */
export const byName = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : Number(a > b));

export const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Names of classes that are only numbered: 0 to the largest label of any of the lists. */
export function numberedClasses(...labels: readonly ArrayLike<number>[]): string[] {
  const largest = labels.flatMap((list) => Array.from(list)).reduce((a, b) => Math.max(a, b), -1);
  return Array.from({ length: largest + 1 }, (_, i) => String(i));
}

/** Where the labels of a data set are from, in words; undefined where there are none. */
export function labelsFrom({ layout, labelsFrom: said }: Pick<Plan, "layout" | "labelsFrom">): string | undefined {
  if (!tellsClasses(layout)) return undefined;
  if (said !== undefined) return said;
  return layout === "class folders" ? "folder names" : `the ${layout} files`;
}

/** Items of the array of images in file `path`; `image` gives the i-th. */
export const arrayItems = (path: string, labels: ArrayLike<number>, image: (i: number) => Image): Item[] =>
  Array.from(labels, (label, i) => ({ path: `${path}[${i}]`, label, load: async (size) => fitImage(image(i), size) }));
