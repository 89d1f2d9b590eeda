import { linearAxis, logAxis, type XAxis } from "./axes.ts";
import type { Line, Panel } from "./chart.ts";
import { escaped, faint, fixed, ink, rule, segment, soft, text } from "./svg.ts";

/** Where a panel is, in pixels. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The pieces of a line between its gaps. */
function pieces(points: Line["points"], drawable: (y: number) => boolean): (readonly [number, number])[][] {
  const result: (readonly [number, number])[][] = [[]];
  for (const point of points)
    if (drawable(point[1])) result.at(-1)!.push(point);
    else if (result.at(-1)!.length > 0) result.push([]);
  return result.filter((piece) => piece.length > 0);
}

/** Maps y to pixels, and knows which values have a place. */
interface YAxis {
  readonly at: (y: number) => number;
  readonly drawable: (y: number) => boolean;
  readonly ticks: ReturnType<typeof logAxis>["ticks"];
}

function yAxis({ lines, scale = "log" }: Panel, { top, bottom }: Frame): YAxis {
  const logarithmic = scale === "log";
  const drawable = (y: number): boolean => Number.isFinite(y) && (y > 0 || !logarithmic);
  const map = (y: number): number => (logarithmic ? Math.log(y) : y);
  const ys = lines.flatMap(({ points }) => points.map(([, y]) => y).filter(drawable));
  const { low: least, high, ticks } = logarithmic ? logAxis(ys) : linearAxis(ys);
  const [low, span] = [map(least), map(high) - map(least)];
  return { at: (y) => bottom - ((map(y) - low) / span) * (bottom - top), drawable, ticks };
}

/** A line, and its points where they are few; of many, the line says enough. */
function drawLine({ points, color }: Line, x: XAxis, y: YAxis): string[] {
  const path = pieces(points, y.drawable)
    .map((piece) => piece.map(([a, b], i) => `${i === 0 ? "M" : "L"}${fixed(x.at(a))} ${fixed(y.at(b))}`).join(""))
    .join("");
  const dots = points.length > 60 ? [] : points.filter(([, value]) => y.drawable(value));
  return [
    `<path d="${path}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/>`,
    ...dots.map(([a, b]) => `<circle cx="${fixed(x.at(a))}" cy="${fixed(y.at(b))}" r="3" fill="${color}"/>`),
  ];
}

/** The axes, the grid and the lines of a panel. */
export function drawPanel(panel: Panel, frame: Frame, x: XAxis): string[] {
  const { left, right, top, bottom } = frame;
  const y = yAxis(panel, frame);
  const grid = y.ticks.flatMap(({ value, label }) => [
    segment(left, y.at(value), right, y.at(value), label === undefined ? faint : rule),
    ...(label === undefined ? [] : [text(left - 10, y.at(value) + 4, label, { anchor: "end" })]),
  ]);
  return [
    ...x.ticks.map((value) => segment(x.at(value), top, x.at(value), bottom, faint)),
    ...grid,
    segment(left, bottom, right, bottom, soft) + segment(left, top, left, bottom, soft),
    ...panel.lines.flatMap((line) => drawLine(line, x, y)),
    text(22, (top + bottom) / 2, escaped(panel.label), { anchor: "middle", rotate: -90, color: ink, size: 13 }),
  ];
}

/** Numbers of an x axis below a panel, and its name. */
export const nameX = ({ at, ticks }: XAxis, label: string, { left, right, bottom }: Frame): string[] => [
  ...ticks.map((x) => text(at(x), bottom + 20, String(Number(x.toPrecision(12))), { anchor: "middle" })),
  text((left + right) / 2, bottom + 44, escaped(label), { anchor: "middle", color: ink, size: 13 }),
];
