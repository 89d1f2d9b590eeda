import { join } from "node:path";
import type { Chart, Line } from "../../evaluation/chart/chart.ts";
import { chartSvg } from "../../evaluation/chart/draw.ts";
import { writeFiles } from "../../files/atomic.ts";
import { classifierGuidance } from "../../guidance/kinds/classifier.ts";
import { classifierFreeGuidance } from "../../guidance/kinds/classifier-free.ts";
import { rasterize } from "../../images/rasterize.ts";
import { type Finished, type MetricName, metricNames } from "./folder.ts";
import type { SettingValue } from "./grid.ts";

/** `report.csv`, `report.svg` and `report.png` of finished cells, written into their folder. Resolves to their paths. */
export async function writeReport(folder: string, cells: readonly Finished[], about: ReportText): Promise<string[]> {
  const svg = chartSvg(sweepChart(cells, about));
  const files = [
    [join(folder, "report.csv"), reportCsv(cells)],
    [join(folder, "report.svg"), svg],
    [join(folder, "report.png"), await rasterize(svg)],
  ] as const;
  await writeFiles(files);
  return files.map(([path]) => path);
}

export interface ReportText {
  readonly title: string;
  readonly subtitle: string;
}

/** The scales that lines grow over. */
const [classifier, free] = [classifierGuidance.scale!, classifierFreeGuidance.scale!];

/** Names of all settings of some cells, those of the guidance first. */
const settingNames = (cells: readonly Finished[]): string[] => [
  ...new Set([classifier, free, ...cells.flatMap(({ settings }) => Object.keys(settings))]),
];

/** A table with a line for each cell: its settings, each metric and its error, counts and seconds. */
function reportCsv(cells: readonly Finished[]): string {
  const names = settingNames(cells);
  const field = (value: SettingValue | null | undefined): string => {
    const text = String(value ?? "");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = cells.map(({ settings, metrics, count, referenceCount, seconds }) => [
    ...names.map((name) => settings[name]),
    ...metricNames.flatMap((name) => [metrics[name]?.value, metrics[name]?.error]),
    count,
    referenceCount,
    seconds,
  ]);
  const head = [
    ...names,
    ...metricNames.flatMap((name) => [name, `${name}Error`]),
    "count",
    "referenceCount",
    "seconds",
  ];
  return [head, ...rows].map((row) => `${row.map(field).join()}\n`).join("");
}

const colors = [
  "#2563a8",
  "#c2571a",
  "#2d8a6e",
  "#8b3fa0",
  "#b8860b",
  "#c0392b",
  "#4a5568",
  "#0e9aa7",
  "#7a9a01",
  "#d1498b",
];

/** Cells that differ in one scale alone, in its order. */
interface Series {
  readonly label: string;
  readonly scale: string;
  readonly cells: readonly Finished[];
}

/** Precision against recall; FID, and accuracy, against the scale of guidance. */
function sweepChart(cells: readonly Finished[], { title, subtitle }: ReportText): Chart {
  const series = seriesOf(cells);
  const color = (n: number): string => colors[n % colors.length]!;
  const lines = (
    x: (cell: Finished, series: Series) => number | undefined,
    y: MetricName,
    keep: (series: Series) => boolean = () => true,
  ): Line[] =>
    series.flatMap((each, n) => {
      if (!keep(each)) return [];
      const points = each.cells.flatMap((cell) => {
        const [a, b] = [x(cell, each), cell.metrics[y]?.value];
        return a === undefined || b === undefined ? [] : [[a, b] as const];
      });
      return [{ label: each.label, color: color(n), points }];
    });
  const overScale = (y: MetricName): Line[] => lines(({ settings }, { scale }) => Number(settings[scale]), y);
  return {
    title,
    subtitle,
    xLabel: "scale of guidance",
    legend: series.map(({ label }, n) => ({ label, color: color(n) })),
    panels: [
      {
        label: "precision",
        xLabel: "recall",
        scale: "linear",
        lines: lines(({ metrics }) => metrics.recall?.value, "precision"),
      },
      { label: "FID (features of the detector)", lines: overScale("fid") },
      { label: "accuracy of the class", scale: "linear", lines: overScale("accuracy") },
    ],
  };
}

/**
 * Lines over the scale of the classifier, and, where no classifier steers, over that of classifier-free guidance. A cell that differs
 * from the others by more than a scale is a point of its own.
 */
function seriesOf(cells: readonly Finished[]): Series[] {
  const varying = settingNames(cells).filter((name) => new Set(cells.map(({ settings }) => settings[name])).size > 1);
  const groups = (scale: Series["scale"], among: readonly Finished[]): Series[] => {
    const found = new Map<string, Finished[]>();
    for (const cell of among) {
      const others = Object.entries(cell.settings).filter(([name]) => name !== scale && varying.includes(name));
      const key = JSON.stringify(others.toSorted(([a], [b]) => (a < b ? -1 : 1)));
      found.set(key, [...(found.get(key) ?? []), cell]);
    }
    return [...found.values()].map((group) => ({
      scale,
      label: labelOf(group[0]!, scale, varying),
      cells: group.toSorted((a, b) => Number(a.settings[scale]) - Number(b.settings[scale])),
    }));
  };
  const isLine = ({ cells }: Series): boolean => cells.length > 1;
  const unsteered = cells.filter(({ settings }) => settings[classifier] === 0 && settings.unconditional !== true);
  const lines = [...groups(classifier, cells), ...groups(free, unsteered)].filter(isLine);
  const drawn = new Set(lines.flatMap(({ cells }) => cells));
  const alone = cells.filter((cell) => !drawn.has(cell));
  return [...lines, ...groups(classifier, alone)];
}

/** What a line is: the scale that grows along it, and every other setting that differs among the cells. */
function labelOf({ settings }: Finished, scale: Series["scale"], varying: readonly string[]): string {
  const parts = varying
    .filter((name) => name !== scale && name in settings)
    .flatMap((name) => {
      const value = settings[name]!;
      if (name === "sampler") return [String(value)];
      if (name === "unconditional") return value === true ? ["unconditional"] : [];
      // The other kind of guidance, off.
      if ((name === classifier && value === 0) || (name === free && value === 1)) return [];
      return [`${name} ${value}`];
    });
  return [scale === classifier ? "classifier" : "classifier-free", ...parts].join(", ");
}
