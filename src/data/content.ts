import type { Skipped } from "./entries.ts";
import type { LayoutName } from "./layout.ts";

/** Images and labels in memory; a pixel value v stands for v / 127.5 - 1. */
export interface Split {
  /** Number of images. */
  readonly count: number;
  /** [C, H, W] of one image. */
  readonly shape: readonly [channels: 1 | 3, height: number, width: number];
  /** [count], indices into the data set's classes. */
  readonly labels: Int32Array;
  /** [count, C, H, W], 0 to 255. */
  readonly images: Uint8Array;
}

/** What a data set is, whether just decoded or from the cache. */
export interface Content {
  readonly layout: LayoutName;
  /** Names by label, numbers ordered by value: those of which there are images. Empty where there are no labels; then each label is 0. */
  readonly classes: readonly string[];
  /** Where the labels are from, as "folder names"; undefined where there are none. */
  readonly labelsFrom?: string | undefined;
  /** What the user should know of how the files were understood: a line each. */
  readonly notes?: readonly string[] | undefined;
  /** How many images have transparent pixels, which show the background. */
  readonly transparent: number;
  readonly train: Split;
  readonly test: Split | undefined;
  readonly skipped: readonly Skipped[];
}
