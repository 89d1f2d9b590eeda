import type { Line } from "../../src/evaluation/chart/chart.ts";
import { chartSvg } from "../../src/evaluation/chart/draw.ts";
import type { Claim, Statement } from "./claim.ts";

/** What was measured of a cell with a seed: a line of the file of results. */
export interface Measured {
  readonly series: string;
  readonly x: number;
  readonly seed: number;
  /** What it was measured by: results of other settings are not compared. */
  readonly settings: Readonly<Record<string, string | number>>;
  readonly measures: Readonly<Record<string, number | null>>;
}

/** A mean over seeds and its standard error. */
export interface Mean {
  readonly value: number;
  readonly error: number;
}

/** Mean of values, and their deviation over the root of their number; undefined of fewer than two. */
export function meanOf(values: readonly number[]): Mean | undefined {
  const n = values.length;
  if (n < 2) return undefined;
  const value = values.reduce((sum, each) => sum + each, 0) / n;
  const variance = values.reduce((sum, each) => sum + (each - value) ** 2, 0) / (n - 1);
  return { value, error: Math.sqrt(variance / n) };
}

const means = (
  results: readonly Measured[],
  { series, x }: Pick<Measured, "series" | "x">,
  measure: string,
): Mean | undefined =>
  meanOf(
    results.flatMap((result) => {
      const value = result.measures[measure];
      return result.series === series && result.x === x && typeof value === "number" ? [value] : [];
    }),
  );

const seriesOf = (results: readonly Measured[]): string[] => [...new Set(results.map(({ series }) => series))];
const placesOf = (results: readonly Measured[], series: string): number[] =>
  [...new Set(results.filter((result) => result.series === series).map(({ x }) => x))].sort((a, b) => a - b);

const shown = ({ value, error }: Mean): string => `${value.toFixed(3)} ± ${error.toFixed(3)}`;

/** Seeds of the same pictures would share their luck; so a difference counts from twice its error on. */
const sure = 2;

/** A statement, the two numbers, and whether they bear it out. */
export function verdict(results: readonly Measured[], { text, measure, from, to, goes }: Statement): string {
  const [a, b] = [means(results, from, measure), means(results, to, measure)];
  if (!a || !b) return `- ${text}: not measured.`;
  const rise = (b.value - a.value) * (goes === "up" ? 1 : -1);
  const error = Math.hypot(a.error, b.error);
  const word = Math.abs(rise) < sure * error ? "not decided, within the errors" : rise > 0 ? "holds" : "does not hold";
  return `- ${text}: **${word}**. ${measure} goes from ${shown(a)} to ${shown(b)}.`;
}

/** A section of Markdown: a table with a row for each cell, and what it says of the claim. */
export function section(
  claim: Claim,
  results: readonly Measured[],
  statements: readonly Statement[],
  real: Readonly<Record<string, Mean | undefined>>,
): string {
  const head = ["", claim.xLabel, ...claim.measures];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rows = seriesOf(results).flatMap((series) =>
    placesOf(results, series).map((x) => {
      const values = claim.measures.map((measure) => means(results, { series, x }, measure));
      return line([series, String(x), ...values.map((value) => (value ? shown(value) : ""))]);
    }),
  );
  const floor = claim.measures.map((name) => real[name]);
  const realRow = floor.some(Boolean)
    ? [line(["real images", "", ...floor.map((value) => (value ? shown(value) : ""))])]
    : [];
  return [
    `**${claim.about}.**`,
    "",
    line(head),
    line(head.map(() => "---")),
    ...realRow,
    ...rows,
    "",
    ...statements.map((statement) => verdict(results, statement)),
    "",
  ].join("\n");
}

const colors = ["#2563a8", "#c2571a", "#2d8a6e", "#8b3fa0", "#b8860b", "#c0392b", "#4a5568"];
const scales = { precision: "linear", recall: "linear", accuracy: "linear", bits: "linear" } as const;

/** A panel for each measure, a line for each series, with errors, and what real images get. */
export function chart(
  claim: Claim,
  results: readonly Measured[],
  real: Readonly<Record<string, Mean | undefined>>,
  subtitle: string,
): string {
  const named = seriesOf(results).map((label, i) => ({ label, color: colors[i % colors.length]! }));
  const lines = (measure: string): Line[] =>
    named.map((name) => {
      const found = placesOf(results, name.label).flatMap((x) => {
        const mean = means(results, { series: name.label, x }, measure);
        return mean ? [{ x, mean }] : [];
      });
      return {
        ...name,
        points: found.map(({ x, mean }) => [x, mean.value] as const),
        errors: found.map(({ mean }) => [0, mean.error] as const),
      };
    });
  return chartSvg({
    title: claim.about,
    subtitle,
    xLabel: claim.xLabel,
    legend: named,
    panels: claim.measures.map((measure) => {
      const level = real[measure];
      return {
        label: measure,
        scale: scales[measure as keyof typeof scales] ?? "log",
        lines: lines(measure),
        ...(level && { levels: [{ label: "real images", y: level.value, error: level.error }] }),
      };
    }),
  });
}
