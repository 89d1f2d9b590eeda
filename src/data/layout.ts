import { fitImage } from "../images/decode.ts";
import type { Image } from "../images/image.ts";
import type { Entry } from "./source.ts";

/** An image that a layout has found: its label indexes the plan's classes. `load` rejects where it cannot be read. */
export interface Item {
  readonly path: string;
  readonly label: number;
  /** With `size`, resized and centre-cropped to size x size. */
  load(size?: number): Promise<Image>;
}

/** A file that is left out, and why. */
export interface Skipped {
  /** The file. */
  readonly path: string;
  /** Why, as a few words. */
  readonly reason: string;
}

/** How a folder or file holds images and classes. */
export type LayoutName =
  | "class folders"
  | "MNIST IDX"
  | "CIFAR-10 binary"
  | "CIFAR-100 binary"
  | "npz"
  | "npz without labels"
  | "loose images";

/** Whether the images are of classes that somebody chose; else all are of one that stands for none. */
export const tellsClasses = (layout: LayoutName): boolean =>
  layout !== "loose images" && layout !== "npz without labels";

/** What a layout makes of a folder or zip, before anything is decoded. */
export interface Plan {
  readonly layout: LayoutName;
  readonly classes: readonly string[];
  readonly train: readonly Item[];
  /** Empty where the layout holds no test images. */
  readonly test: readonly Item[];
  readonly skipped: readonly Skipped[];
}

/** Recognises one layout; undefined where the files are not of it. Throws DataError where they are, but damaged. */
export type Layout = (entries: readonly Entry[]) => Promise<Plan | undefined>;

const collator = new Intl.Collator("en", { numeric: true });

/** Order of class and file names: numbers by value (2 before 10), the rest alphabetically; the same on every machine. */
export const byName = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : Number(a > b));

export const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Names of classes that are only numbered: 0 to the largest label of any of the lists. */
export function numberedClasses(...labels: readonly ArrayLike<number>[]): string[] {
  const largest = labels.flatMap((list) => Array.from(list)).reduce((a, b) => Math.max(a, b), -1);
  return Array.from({ length: largest + 1 }, (_, i) => String(i));
}

/** Items of the array of images in file `path`; `image` gives the i-th. */
export const arrayItems = (path: string, labels: ArrayLike<number>, image: (i: number) => Image): Item[] =>
  Array.from(labels, (label, i) => ({ path: `${path}[${i}]`, label, load: async (size) => fitImage(image(i), size) }));
