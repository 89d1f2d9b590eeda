import type { LayoutName, Skipped } from "./layout.ts";

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
  /** Names by label, numbers ordered by value. */
  readonly classes: readonly string[];
  readonly train: Split;
  readonly test: Split | undefined;
  readonly skipped: readonly Skipped[];
}
