import { linearAxis, logAxis, logit, shareAxis, type XAxis } from "./axes.ts";
import type { Level, Line, Panel } from "./chart.ts";
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

/** What a scale makes of values, and which of them have a place on it. */
const SCALES = {
  log: { map: Math.log, has: (y: number) => y > 0, axis: logAxis },
  linear: { map: (y: number) => y, has: () => true, axis: linearAxis },
  share: { map: logit, has: (y: number) => y > 0 && y < 1, axis: shareAxis },
} as const;

function yAxis({ lines, levels = [], scale = "log" }: Panel, { top, bottom }: Frame): YAxis {
  const { map, has, axis } = SCALES[scale];
  const drawable = (y: number): boolean => Number.isFinite(y) && has(y);
  const all = [
    ...lines.flatMap(({ points, errors }) => points.map(([, y], i) => ({ y, error: errors?.[i]?.[1] || 0 }))),
    ...levels.map(({ y, error = 0 }) => ({ y, error })),
  ].filter(({ y }) => drawable(y));
  const values = all.map(({ y }) => y);
  // On a logarithmic axis a bar that nearly reaches zero would take all the room.
  const lowest = scale === "log" ? values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY) / 10 : -Infinity;
  const ends = all.flatMap(({ y, error }) => [y - error, y + error]).filter((y) => drawable(y) && y >= lowest);
  const { low: least, high, ticks } = axis([...values, ...ends]);
  const [low, span] = [map(least), map(high) - map(least)];
  const at = (y: number): number => {
    // A bar that goes beyond the axis ends there.
    const share = drawable(y) ? (map(y) - low) / span : y > 0 ? 1 : 0;
    return bottom - Math.min(1, Math.max(0, share)) * (bottom - top);
  };
  return { at, drawable, ticks };
}

/** A line from one place to another, with a short stroke across each end. */
function bar([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number], color: string): string {
  const [dx, dy] = x1 === x2 ? [3, 0] : [0, 3];
  const caps = [
    [x1, y1],
    [x2, y2],
  ].map(([a, b]) => `M${fixed(a! - dx)} ${fixed(b! - dy)}L${fixed(a! + dx)} ${fixed(b! + dy)}`);
  return `<path d="M${fixed(x1)} ${fixed(y1)}L${fixed(x2)} ${fixed(y2)}${caps.join("")}" stroke="${color}" stroke-opacity="0.55" fill="none"/>`;
}

/** The error of each point, as bars. */
const drawErrors = ({ points, errors = [], color }: Line, x: XAxis, y: YAxis): string[] =>
  points.flatMap(([a, b], i) => {
    if (!y.drawable(b)) return [];
    const [ex = 0, ey = 0] = errors[i] ?? [];
    return [
      ...(ey > 0 ? [bar([x.at(a), y.at(b - ey)], [x.at(a), y.at(b + ey)], color)] : []),
      ...(ex > 0 ? [bar([x.at(a - ex), y.at(b)], [x.at(a + ex), y.at(b)], color)] : []),
    ];
  });

/** The name of each point beside it. */
const drawNames = ({ points, names = [], color }: Line, x: XAxis, y: YAxis): string[] =>
  names.flatMap((name, i) => {
    const [a, b] = points[i] ?? [0, Number.NaN];
    return y.drawable(b) ? [text(x.at(a) + 6, y.at(b) - 6, escaped(name), { color, size: 10, halo: true })] : [];
  });

/** The names of levels, near the right end. */
const nameLevels = (levels: readonly Level[], { right }: Frame, y: YAxis): string[] =>
  levels
    .filter((level) => y.drawable(level.y))
    .map((level) =>
      text(right - 4, y.at(level.y) - 5, escaped(level.label), { anchor: "end", size: 10.5, halo: true }),
    );

/** A level, dashed, in the band of its error. */
function drawLevel({ y: value, error = 0 }: Level, { left, right }: Frame, y: YAxis): string[] {
  if (!y.drawable(value)) return [];
  const [from, to] = [y.at(value + error), y.at(value - error)];
  return [
    `<rect x="${left}" y="${fixed(from)}" width="${right - left}" height="${fixed(to - from)}" fill="${soft}" fill-opacity="0.12"/>`,
    `<path d="M${left} ${fixed(y.at(value))}L${right} ${fixed(y.at(value))}" stroke="${soft}" stroke-dasharray="6 4" fill="none"/>`,
  ];
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
    ...(panel.levels ?? []).flatMap((level) => drawLevel(level, frame, y)),
    ...panel.lines.flatMap((line) => drawErrors(line, x, y)),
    ...panel.lines.flatMap((line) => drawLine(line, x, y)),
    ...panel.lines.flatMap((line) => drawNames(line, x, y)),
    ...nameLevels(panel.levels ?? [], frame, y),
    text(22, (top + bottom) / 2, escaped(panel.label), { anchor: "middle", rotate: -90, color: ink, size: 13 }),
  ];
}

/** Numbers of an x axis below a panel, and its name. */
export const nameX = ({ at, ticks }: XAxis, label: string, { left, right, bottom }: Frame): string[] => [
  ...ticks.map((x) => text(at(x), bottom + 20, String(Number(x.toPrecision(12))), { anchor: "middle" })),
  text((left + right) / 2, bottom + 44, escaped(label), { anchor: "middle", color: ink, size: 13 }),
];
