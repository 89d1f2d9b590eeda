import { join } from "node:path";
import type { Chart, Line, Panel } from "../../evaluation/chart/chart.ts";
import { chartSvg } from "../../evaluation/chart/draw.ts";
import type { Estimate } from "../../evaluation/metrics/bootstrap.ts";
import type { RealReport } from "../../evaluation/real.ts";
import { writeFiles } from "../../files/atomic.ts";
import { classifierGuidance } from "../../guidance/kinds/classifier.ts";
import { classifierFreeGuidance } from "../../guidance/kinds/classifier-free.ts";
import { rasterize } from "../../images/rasterize.ts";
import { realJson } from "../evaluate/report.ts";
import { type Finished, metricNames } from "./folder.ts";
import type { SettingValue } from "./grid.ts";

/**
 * `report.csv`, `report.svg` and `report.png` of finished cells, and `real.json` of what real images get, written into their folder. Resolves to
 * their paths.
 */
export async function writeReport(folder: string, cells: readonly Finished[], about: ReportText): Promise<string[]> {
  const svg = chartSvg(sweepChart(cells, about));
  const { real } = about;
  const files = [
    [join(folder, "report.csv"), reportCsv(cells)],
    [join(folder, "report.svg"), svg],
    [join(folder, "report.png"), await rasterize(svg)],
    ...(real ? [[join(folder, "real.json"), `${JSON.stringify(realJson(real), null, 2)}\n`] as const] : []),
  ] as const;
  await writeFiles(files);
  return files.map(([path]) => path);
}

/** What the report says beside the cells. */
export interface ReportText {
  readonly title: string;
  readonly subtitle: string;
  /** Pictures of each cell. */
  readonly count: number;
  /** What as many real images get. */
  readonly real?: RealReport | undefined;
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

/** Grey, as what the cells are compared with. */
const realColor = "#66727f";
const realLabel = "real images";

/** A number of a cell, with its error where it has one; undefined where it was not measured. */
type Measure = (cell: Finished, series: Series) => Partial<Estimate> | null | undefined;

/** A line for each series: points with their errors and, if `named`, the scale beside each. */
const linesOf = (series: readonly Series[], x: Measure, y: Measure, named = false): Line[] =>
  series.map((each, n) => {
    const found = each.cells.flatMap((cell) => {
      const [a, b] = [x(cell, each), y(cell, each)];
      return a?.value === undefined || b?.value === undefined
        ? []
        : [{ cell, x: { ...a, value: a.value }, y: { ...b, value: b.value } }];
    });
    return {
      label: each.label,
      color: colors[n % colors.length]!,
      points: found.map(({ x, y }) => [x.value, y.value] as const),
      errors: found.map(({ x, y }) => [x.error ?? 0, y.error ?? 0] as const),
      ...(named && { names: found.map(({ cell }) => String(cell.settings[each.scale] ?? "")) }),
    };
  });

/** Real images as a point. */
const realPoint = ({ precision, recall }: Partial<RealReport>): Line[] =>
  precision && recall
    ? [
        {
          label: realLabel,
          color: realColor,
          points: [[recall.value, precision.value]],
          errors: [[recall.error, precision.error]],
          names: ["real"],
        },
      ]
    : [];

/** Precision against recall; FID, and accuracy, against the scale of guidance; each with its error, and with what real images get. */
function sweepChart(cells: readonly Finished[], { title, subtitle, count, real }: ReportText): Chart {
  const series = seriesOf(cells);
  const scaleOf: Measure = ({ settings }, { scale }) => ({ value: Number(settings[scale]) });
  const level = (estimate: Estimate | undefined): Pick<Panel, "levels"> =>
    estimate ? { levels: [{ label: realLabel, y: estimate.value, error: estimate.error }] } : {};
  const accuracy: Measure = ({ metrics }) => metrics.accuracy && insideShare(metrics.accuracy, count);
  const names = linesOf(series, scaleOf, accuracy).map(({ label, color }) => ({ label, color }));
  return {
    title,
    subtitle,
    xLabel: "scale of guidance",
    legend: [...names, ...(real ? [{ label: realLabel, color: realColor }] : [])],
    panels: [
      {
        label: "precision",
        xLabel: "recall (beside each point: the scale)",
        scale: "linear",
        lines: [
          ...linesOf(
            series,
            ({ metrics }) => metrics.recall,
            ({ metrics }) => metrics.precision,
            true,
          ),
          ...realPoint(real ?? {}),
        ],
      },
      {
        label: "FID (features of the detector)",
        lines: linesOf(series, scaleOf, ({ metrics }) => metrics.fid),
        ...level(real?.fid),
      },
      {
        label: "accuracy of the class",
        scale: "share",
        lines: linesOf(series, scaleOf, accuracy),
        ...level(real?.accuracy && insideShare(real.accuracy, 10 * count)),
      },
    ],
  };
}

/** A share of so many pictures with a place on an axis of shares: none of them, or all, are drawn half a picture inside. */
function insideShare({ value, error }: Estimate, count: number): Estimate {
  const half = 0.5 / count;
  return { value: Math.min(1 - half, Math.max(half, value)), error };
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
