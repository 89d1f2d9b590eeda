import { type Background, usualBackground } from "../background.ts";
import { counted } from "../counted.ts";
import { oneLine } from "../one-line.ts";
import type { Dataset } from "./dataset.ts";
import type { Skipped } from "./entries.ts";
import type { LayoutName } from "./layout.ts";

/** What `guidestar data check` says, as plain JSON. */
export interface DatasetReport {
  readonly path: string;
  readonly layout: LayoutName;
  /** Where the labels are from, as "folder names"; null where there are none. */
  readonly labels: string | null;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** What transparent pixels show. */
  readonly background: Background;
  /** How many images have some. */
  readonly transparent: number;
  readonly train: number;
  readonly test: number;
  readonly classes: readonly { readonly name: string; readonly train: number; readonly test: number }[];
  readonly skipped: readonly Skipped[];
  /** What there is to know of how the files were understood. */
  readonly notes: readonly string[];
}

const countLabel = (labels: Int32Array | undefined, label: number): number =>
  labels?.reduce((count, other) => count + Number(other === label), 0) ?? 0;

/** Counts per class and split, the images' shape, and the files left out. */
export function reportOf(dataset: Dataset): DatasetReport {
  const { path, layout, classes, labelsFrom, notes = [], imageShape, train, test, skipped } = dataset;
  const { background, transparent } = dataset;
  const [channels, height, width] = imageShape;
  const counts = classes.map((name, label) => ({
    name,
    train: countLabel(train.labels, label),
    test: countLabel(test?.labels, label),
  }));
  return {
    path,
    layout,
    labels: labelsFrom ?? null,
    channels,
    height,
    width,
    background,
    transparent,
    train: train.count,
    test: test?.count ?? 0,
    classes: counts,
    skipped,
    notes,
  };
}

/** "3 images of 2 classes", "3 images". */
export const describeCount = (images: number, classes: readonly unknown[]): string =>
  `${counted(images, "image")}${classes.length > 0 ? ` of ${counted(classes.length, "class", "classes")}` : ""}`;

/** "labels from folder names", "no labels". */
export const describeLabels = ({ labelsFrom }: Pick<Dataset, "labelsFrom">): string =>
  labelsFrom === undefined ? "no labels" : `labels from ${labelsFrom}`;

/** "transparent pixels on black (3 images have some)"; undefined where there are none, and white stands behind them. */
export const describeBackground = ({
  background,
  transparent,
}: Pick<Dataset, "background" | "transparent">): string | undefined =>
  transparent === 0 && background === usualBackground
    ? undefined
    : `transparent pixels on ${background} (${transparent === 1 ? "1 image has" : `${transparent === 0 ? "no" : transparent} images have`} some)`;

/** The report as text: two lines on the whole, a table of classes, and at most ten of the files left out. */
export function formatReport(dataset: Dataset): string {
  const { path, layout, channels, height, width, train, test, classes, skipped, notes } = reportOf(dataset);
  const behind = describeBackground(dataset);
  const colour = channels === 1 ? "grey" : "colour";
  const rows = [
    ["class", "train", "test"],
    ...[...classes, { name: "total", train, test }].map((row) => [
      oneLine(row.name),
      String(row.train),
      String(row.test),
    ]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const table = rows.map(([name, ...counts]) =>
    [name!.padEnd(widths[0]!), ...counts.map((count, i) => count.padStart(widths[i + 1]!))].join("  "),
  );
  const shown = skipped.slice(0, 10).map((file) => `  ${oneLine(`${file.path}: ${file.reason}`)}`);
  const more = skipped.length > shown.length ? [`  and ${skipped.length - shown.length} more`] : [];
  return [
    `${oneLine(path)}: ${describeCount(train + test, classes)}, ${width}x${height}, ${colour} (${layout})`,
    describeLabels(dataset),
    ...(behind === undefined ? [] : [behind]),
    ...notes.map((note) => oneLine(note)),
    "",
    ...table,
    ...(skipped.length > 0 ? ["", `skipped: ${skipped.length}`, ...shown, ...more] : []),
  ].join("\n");
}
