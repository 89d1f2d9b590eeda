import { type Background, background as backgroundSetting, usualBackground } from "../background.ts";
import { counted } from "../counted.ts";
import { DataError, UsageError } from "../errors.ts";
import { readSetting } from "../setting.ts";
import { cifarBinary } from "./arrays/cifar.ts";
import { mnistIdx } from "./arrays/idx.ts";
import { npzImages } from "./arrays/npz.ts";
import { cacheFile, readCache, writeCache } from "./cache.ts";
import { contentWith } from "./channels.ts";
import { foreignAmong } from "./containers/foreign.ts";
import type { Content, Split } from "./content.ts";
import type { Listing } from "./entries.ts";
import { imageFolders, singlePicture, withoutLabels } from "./folders.ts";
import { isJunk } from "./labels/junk.ts";
import { type LabelOptions, labelsFrom, type Plan } from "./layout.ts";
import { type PackOptions, pack } from "./pack.ts";
import { openSource, type Source } from "./source.ts";

/** A data set in memory: what `openDataset` gives. */
export interface Dataset extends Content {
  /** As it was given. */
  readonly path: string;
  /** [C, H, W] of one image. */
  readonly imageShape: Split["shape"];
  /** Side that images were resized and cropped to; undefined where they were taken as they are. */
  readonly size?: number | undefined;
  /** What transparent pixels show. */
  readonly background: Background;
  /** The packed cache: whether this came from it, was written to it, or why it could not be; undefined where caching is off. */
  readonly cache: { readonly file: string; readonly state: "read" | "written" | Error } | undefined;
}

/** Settings of `openDataset`. */
export interface DatasetOptions extends PackOptions, LabelOptions {
  /** 1 grey (luma of coloured images, ITU-R BT.601), 3 colour; without it, grey if every image is. */
  readonly channels?: 1 | 3 | undefined;
  /** Makes any skipped file an error. */
  readonly strict?: boolean;
  /** Take images without labels too, where there are no others: there are no classes then. Off by default. */
  readonly loose?: boolean;
  /** Folder of packed caches, `${XDG_CACHE_HOME:-~/.cache}/guidestar/datasets` where not given; false for none. */
  readonly cache?: string | false | undefined;
}

const LAYOUTS = [npzImages, mnistIdx, cifarBinary, imageFolders];

const ACCEPTED =
  "a folder, zip or tar of CLASS/IMAGE, perhaps below train/ and test/ or val/, or of images with dataset.json, metadata.csv or labels.csv " +
  "(png, jpg, webp, gif, tiff, avif, bmp, ppm); MNIST IDX files; CIFAR binary files; an npz of images and labels (arr_0, arr_1; x_train, y_train; train_images, train_labels); WebDataset tars; parquet or Arrow of the Hugging Face hub";

/** What the files are taken for; what the source leaves out, and says, with it. */
async function plan(source: Source, path: string, options: DatasetOptions): Promise<Plan> {
  const listing = await source.list(options);
  const found = await planOf(listing, path, options);
  return {
    ...found,
    skipped: [...listing.skipped, ...found.skipped],
    notes: [...listing.notes, ...(found.notes ?? [])],
  };
}

async function planOf(listing: Listing, path: string, { loose = false, ...options }: DatasetOptions): Promise<Plan> {
  const entries = listing.entries.filter((entry) => !isJunk(entry.path));
  let found: Plan | undefined;
  for (const layout of LAYOUTS) found ??= await layout(entries, options);
  if (found && found.train.length > 0) {
    if (found.layout === "loose images" && !loose) throw new DataError(`${path}: ${withoutLabels(found, entries)}`);
    return found;
  }
  const picture = loose ? await singlePicture(entries, options) : undefined;
  if (picture) return picture;
  const foreign = await foreignAmong(entries);
  if (foreign) throw new DataError(`${path}: ${foreign}`);
  const [first] = [...listing.skipped, ...(found?.skipped ?? [])];
  const seen = `${counted(entries.length, "file")}${first ? ` (${first.path}: ${first.reason})` : ""}`;
  const accepted = loose ? `an image, or a folder or zip of images; ${ACCEPTED}` : ACCEPTED;
  throw new DataError(`${path}: no images found among ${seen}. Accepted: ${accepted}`);
}

/** What a data set gives. Its errors begin with its path. */
async function decode(source: Source, path: string, options: DatasetOptions): Promise<Content> {
  try {
    return await decodeSource(source, path, options);
  } catch (cause) {
    if (!(cause instanceof DataError) || cause.message.startsWith(`${path}: `)) throw cause;
    throw new DataError(`${path}: ${cause.message}`, { cause });
  }
}

async function decodeSource(source: Source, path: string, options: DatasetOptions): Promise<Content> {
  const { layout, classes, train, test, skipped, labelsFrom: said, notes = [] } = await plan(source, path, options);
  const items = [...train, ...test];
  const packed = await pack(items, options);
  const [c, h, w] = packed.shape;
  const known = classesWithImages(
    classes,
    packed.kept.map((i) => items[i]!.label),
    items.map(({ label }) => label),
  );
  const split = (from: number, to: number): Split => ({
    count: to - from,
    shape: packed.shape,
    labels: Int32Array.from(packed.kept.slice(from, to), (i) => known.labelFor(items[i]!.label)),
    images: packed.images.subarray(from * c * h * w, to * c * h * w),
  });
  const trainCount = packed.kept.filter((i) => i < train.length).length;
  if (trainCount === 0) throw new DataError(`${path}: none of ${train.length} training images could be read`);
  return {
    layout,
    classes: known.classes,
    labelsFrom: labelsFrom({ layout, labelsFrom: said }),
    notes: [...notes, ...known.notes],
    transparent: packed.transparent,
    train: split(0, trainCount),
    test: packed.kept.length > trainCount ? split(trainCount, packed.kept.length) : undefined,
    skipped: [...skipped, ...packed.skipped],
  };
}

/**
 * Opens labelled images: a folder or zip of CLASS/IMAGE (perhaps below train/ and test/ or val/) or with a label file, MNIST IDX or CIFAR
 * binary files, or an npz of samples; if `loose`, a single picture, or a folder or zip of pictures, too. Decoded once; afterwards read from a packed cache
 * for as long as the files and options stay the same.
 * Throws DataError where there is nothing to read, sizes are mixed without `size`, or, if `strict`, a file was skipped;
 * UsageError for a bad size or background; the signal's reason where it aborts.
 */
export async function openDataset(path: string, options: DatasetOptions = {}): Promise<Dataset> {
  const { size, channels, strict = false, loose = false, cache, signal } = options;
  if (size !== undefined && (!Number.isInteger(size) || size < 1))
    throw new UsageError(`size must be a whole number of pixels from 1 but is ${size}`);
  const background = readSetting(backgroundSetting, options.background ?? usualBackground, "background");
  signal?.throwIfAborted();
  const source = openSource(path);
  try {
    const how = [source.fingerprint, size, options.labels, options.labelColumn, options.range, background];
    const file = cache === false ? undefined : cacheFile(path, how, cache);
    const kept = file === undefined ? undefined : await readCache(file);
    const cached = kept?.layout === "loose images" && !loose ? undefined : kept;
    const content = cached ?? (await decode(source, path, { ...options, background }));
    if (strict && content.skipped.length > 0)
      throw new DataError(
        `${path}: ${counted(content.skipped.length, "file")} would be skipped; ${content.skipped[0]!.path}: ${content.skipped[0]!.reason}`,
      );
    const converted = contentWith(content, channels);
    const opened = { path, ...converted, imageShape: converted.train.shape, size, background };
    if (file === undefined) return { ...opened, cache: undefined };
    return { ...opened, cache: { file, state: cached ? "read" : await writeCache(file, content) } };
  } finally {
    source.close();
  }
}

/** The classes that have images, and the label that each of the others' becomes; `planned` are the labels of all files. */
function classesWithImages(classes: readonly string[], labels: readonly number[], planned: readonly number[]) {
  const present = new Set(labels);
  const kept = classes.filter((_, label) => present.has(label));
  const places = new Map(kept.map((name, place) => [classes.indexOf(name), place]));
  const broken = [...new Set(planned)].filter((label) => label < classes.length && !present.has(label));
  return {
    classes: kept,
    labelFor: (label: number): number => places.get(label) ?? 0,
    notes: broken.map((label) => `the class ${classes[label]} is left out: none of its images can be read`),
  };
}

/** The classes that some labels are of. */
export function classesPresent(classes: readonly string[], labels: Iterable<number>): string[] {
  const present = new Set(labels);
  return classes.filter((_, label) => present.has(label));
}

/** One of the parts of a data set. Throws DataError where it has no test images. */
export function splitOf({ path, train, test }: Dataset, name: "train" | "test"): Split {
  const split = name === "test" ? test : train;
  if (!split) throw new DataError(`${path}: there are no test images; leave --split out for the others`);
  return split;
}

/** Throws DataError unless at least `least` classes have training images: a classifier needs two. */
export function requireClasses({ path, classes, train }: Dataset, least: number): void {
  const present = classesPresent(classes, train.labels);
  if (classes.length === 0)
    throw new DataError(
      `${path}: there are no labels, but a classifier learns at least ${counted(least, "class", "classes")}`,
    );
  if (present.length < least)
    throw new DataError(
      `${path}: expected images of at least ${counted(least, "class", "classes")} but there is ${present.length} (${present.join(", ")}); add class folders`,
    );
}
