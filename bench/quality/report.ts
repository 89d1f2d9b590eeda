import type { Line } from "../../src/evaluation/chart/chart.ts";
import { chartSvg } from "../../src/evaluation/chart/draw.ts";
import { baseline } from "./recipes.ts";
import type { Quality } from "./ruler.ts";

/** A recipe at a moment of its training. */
export interface Point extends Quality {
  /** Of training alone. */
  readonly minutes: number;
  /** Images seen, each time counted. */
  readonly images: number;
  readonly steps: number;
}

/** A finished recipe: a line of results.jsonl. */
export interface Result {
  readonly recipe: string;
  readonly seed: number;
  /** What it was measured by: results of other settings are not compared. */
  readonly settings: Readonly<Record<string, string | number>>;
  readonly parameters: number;
  readonly points: readonly Point[];
  /** The end under classifier-free guidance, where the network knows no class too. */
  readonly guided: (Quality & { readonly scale: number }) | null;
}

/** Minutes after which a curve has come down to a distance, between its points in proportion; undefined where it has not. */
export function minutesTo(points: readonly Point[], fid: number): number | undefined {
  for (const [i, { minutes, fid: here }] of points.entries()) {
    if (here > fid) continue;
    const before = points[i - 1];
    if (!before) return minutes;
    return before.minutes + ((minutes - before.minutes) * (before.fid - fid)) / (before.fid - here);
  }
  return undefined;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Curves of seeds as one: the mean at each place. */
function meanPoints(curves: readonly (readonly Point[])[]): Point[] {
  const length = Math.min(...curves.map((curve) => curve.length));
  return Array.from({ length }, (_, i) => {
    const at = curves.map((curve) => curve[i]!);
    const of = (key: keyof Point): number => mean(at.map((point) => point[key] as number));
    const accuracy = at.some((point) => point.accuracy === null) ? null : of("accuracy");
    return {
      ...{ minutes: of("minutes"), images: of("images"), steps: of("steps"), accuracy },
      ...{ fid: of("fid"), coverage: of("coverage"), precision: of("precision") },
    };
  });
}

/** Recipes, each with the mean curve of its seeds, in the order in which they were first measured. */
const curvesOf = (results: readonly Result[]): Map<string, Point[]> =>
  new Map(
    [...new Set(results.map(({ recipe }) => recipe))].map((name) => [
      name,
      meanPoints(results.filter(({ recipe }) => recipe === name).map(({ points }) => points)),
    ]),
  );

const share = (value: number | null): string => (value === null ? "" : `${(100 * value).toFixed(1)}%`);

/** The results as a table of Markdown. */
export function table(results: readonly Result[], floor: Quality | undefined): string {
  const curves = curvesOf(results);
  const last = curves.get(baseline)?.at(-1);
  const rows = [...curves].map(([name, points]) => {
    const end = points.at(-1)!;
    const own = results.filter(({ recipe }) => recipe === name);
    const spread = own.map(({ points }) => points.at(-1)!.fid);
    const reached = last && minutesTo(points, last.fid);
    const guided = own.flatMap(({ guided }) => guided ?? []);
    const fids =
      spread.length > 1
        ? `${end.fid.toFixed(2)} (${spread.map((fid) => fid.toFixed(2)).join(", ")})`
        : end.fid.toFixed(2);
    return [
      name,
      `${(own[0]!.parameters / 1e6).toFixed(2)} M`,
      Math.round(end.steps).toString(),
      Math.round(end.images).toString(),
      fids,
      share(end.accuracy),
      share(end.coverage),
      guided.length === 0 ? "" : mean(guided.map(({ fid }) => fid)).toFixed(2),
      guided.length === 0 ? "" : share(mean(guided.map(({ accuracy }) => accuracy ?? Number.NaN))),
      last === undefined
        ? ""
        : reached === undefined
          ? "not reached"
          : `${(reached / last.minutes).toFixed(2)} (${reached.toFixed(2)} min)`,
    ];
  });
  const scale = results.flatMap(({ guided }) => guided?.scale ?? [])[0];
  const head = [
    ...["recipe", "parameters", "steps", "images seen", "FID", "read as asked", "coverage"],
    ...[`FID at scale ${scale ?? "-"}`, "read as asked", "share of the minutes to the baseline's FID"],
  ];
  const real = floor && [
    "real images",
    "",
    "",
    "",
    floor.fid.toFixed(2),
    share(floor.accuracy),
    share(floor.coverage),
    "",
    "",
    "",
  ];
  const lines = [head, head.map(() => "---"), ...(real ? [real] : []), ...rows];
  return lines.map((row) => `| ${row.join(" | ")} |`).join("\n");
}

const colors = [
  "#1f77b4",
  "#d62728",
  "#2ca02c",
  "#9467bd",
  "#ff7f0e",
  "#8c564b",
  "#e377c2",
  "#17becf",
  "#bcbd22",
  "#7f7f7f",
  "#000000",
  "#5254a3",
];

/** Distance, accuracy and coverage against minutes, and the distance against images seen. */
export function chart(results: readonly Result[], about: { title: string; subtitle: string }): string {
  const curves = [...curvesOf(results)];
  const named = curves.map(([label], i) => ({ label, color: colors[i % colors.length]! }));
  const lines = (x: (point: Point) => number, y: (point: Point) => number | null): Line[] =>
    curves.map(([, points], i) => ({
      ...named[i]!,
      points: points.flatMap((point) => {
        const value = y(point);
        return value === null ? [] : [[x(point), value] as const];
      }),
    }));
  const minutes = ({ minutes }: Point): number => minutes;
  return chartSvg({
    ...about,
    legend: named,
    panels: [
      { label: "FID", lines: lines(minutes, ({ fid }) => fid), xLabel: "minutes of training" },
      {
        label: "read as asked",
        scale: "linear",
        lines: lines(minutes, ({ accuracy }) => accuracy),
        xLabel: "minutes of training",
      },
      {
        label: "coverage",
        scale: "linear",
        lines: lines(minutes, ({ coverage }) => coverage),
        xLabel: "minutes of training",
      },
      {
        label: "FID",
        lines: lines(
          ({ images }) => images,
          ({ fid }) => fid,
        ),
        xLabel: "images seen",
      },
    ],
  });
}
