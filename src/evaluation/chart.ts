/*
 * Line charts as SVG: one or more panels above each other. Their y axes are logarithmic or linear; the x axis is linear, common to all
 * panels or a panel's own.
 */

/** A line of a chart. */
export interface Line {
  /** Name in the legend. */
  readonly label: string;
  /** A CSS colour. */
  readonly color: string;
  /** Points in the order of the line; those with y <= 0 have no place on a logarithmic axis and leave a gap. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One pair of axes and its lines. */
export interface Panel {
  /** Name and unit of the y axis. */
  readonly label: string;
  /** Default "log". */
  readonly scale?: "log" | "linear";
  /** Name of an x axis of its own; the chart's common one where not given. */
  readonly xLabel?: string;
  readonly lines: readonly Line[];
}

/** What `chartSvg` draws: panels above each other. */
export interface Chart {
  readonly title: string;
  readonly subtitle?: string;
  /** Name of the common x axis. */
  readonly xLabel?: string;
  readonly panels: readonly Panel[];
  /** Names the lines once, above all panels, where each panel has the same ones. */
  readonly legend?: readonly Pick<Line, "label" | "color">[];
}

const width = 760;
const panelHeight = 250;
const gap = 44;
const margin = { left: 84, right: 28, top: 92, bottom: 58 };
const legendRow = 20;
const ink = "#1f2933";
const soft = "#66727f";
const rule = "#e3e8ed";
const faint = "#f1f4f7";

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => escapes[character]!);
const fixed = (value: number): string => String(Math.round(value * 100) / 100);

interface TextStyle {
  readonly size?: number;
  readonly anchor?: "start" | "middle" | "end";
  readonly color?: string;
  readonly weight?: number;
  readonly rotate?: number;
}

/** A text element; `content` is SVG already. */
function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, anchor = "start", color = soft, weight = 400, rotate } = style;
  const turned = rotate === undefined ? "" : ` transform="rotate(${rotate} ${fixed(x)} ${fixed(y)})"`;
  return `<text x="${fixed(x)}" y="${fixed(y)}" font-size="${size}" text-anchor="${anchor}" font-weight="${weight}" fill="${color}"${turned}>${content}</text>`;
}

const segment = (x1: number, y1: number, x2: number, y2: number, color: string): string =>
  `<path d="M${fixed(x1)} ${fixed(y1)}L${fixed(x2)} ${fixed(y2)}" stroke="${color}" fill="none"/>`;

/** 1, 2 or 5 times a power of ten such that about `count` of them span `range`. */
function niceStep(range: number, count: number): number {
  const rough = range / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

/** The next round number where the data nearly reach it: an axis to 999 ends at 1000. */
function roundedUp(low: number, high: number): number {
  if (!(high > low)) return high;
  const step = niceStep(high - low, 8);
  const round = Math.ceil(high / step) * step;
  return round - high < 0.05 * (high - low) ? round : high;
}

/** Round numbers from `low` to `high`. */
function linearTicks(low: number, high: number): number[] {
  const step = high > low ? niceStep(high - low, 8) : 1;
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

const isPlain = (exponent: number): boolean => exponent >= -3 && exponent <= 3;

/** 0.01, 1, 100 in plain digits, or as powers of ten. */
function powerLabel(factor: number, exponent: number, plain: boolean): string {
  if (plain) return String(Number(`${factor}e${exponent}`));
  const sign = exponent < 0 ? "\u2212" : "";
  const times = factor === 1 ? "" : `${factor}\u00b7`;
  return `${times}10<tspan dy="-5" font-size="9">${sign}${Math.abs(exponent)}</tspan>`;
}

interface Tick {
  readonly value: number;
  /** As SVG; none where the line is only a guide for the eye. */
  readonly label?: string;
}

/** Range and ticks of a logarithmic axis that holds all values, which are positive. */
function logAxis(values: readonly number[]): Axis {
  const smallest = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  if (!(largest > 0)) return { low: 0.1, high: 1, ticks: [{ value: 1, label: "1" }] };
  // At least 0.7 decades, in which there are always numbers to name.
  const room = Math.max(0.04 * Math.log10(largest / smallest), (0.7 - Math.log10(largest / smallest)) / 2);
  const low = Math.log10(smallest) - room;
  const high = Math.log10(largest) + room;
  const decades = high - low;
  const every = Math.max(1, Math.ceil(decades / 8));
  // All labels of an axis are of one kind.
  const plain = isPlain(Math.ceil(low)) && isPlain(Math.floor(high));
  const ticks: Tick[] = [];
  for (let exponent = Math.floor(low); exponent <= Math.ceil(high); exponent++)
    for (let factor = 1; factor < 10; factor++) {
      const at = exponent + Math.log10(factor);
      if (at < low || at > high) continue;
      const named =
        decades > 2.2 ? factor === 1 && exponent % every === 0 : decades > 0.9 ? [1, 2, 5].includes(factor) : true;
      if (!named && decades > 6) continue;
      ticks.push({ value: 10 ** at, ...(named && { label: powerLabel(factor, exponent, plain) }) });
    }
  return { low: 10 ** low, high: 10 ** high, ticks };
}

interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly Tick[];
}

/** Range and ticks of a linear axis that holds all values, with a little room around them. */
function linearAxis(values: readonly number[]): Axis {
  const [least, most] = values.reduce(([low, high], y) => [Math.min(low, y), Math.max(high, y)], [Infinity, -Infinity]);
  if (!(most >= least)) return { low: 0, high: 1, ticks: [] };
  const room = most > least ? 0.06 * (most - least) : Math.max(Math.abs(most) / 10, 0.1);
  const [low, high] = [least - room, most + room];
  const step = niceStep(high - low, 6);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  const ticks = Array.from({ length: count }, (_, i) => (first + i) * step);
  return { low, high, ticks: ticks.map((value) => ({ value, label: value.toFixed(digits).replace("-", "\u2212") })) };
}

/** The pieces of a line between its gaps. */
function pieces(points: Line["points"], drawable: (y: number) => boolean): (readonly [number, number])[][] {
  const result: (readonly [number, number])[][] = [[]];
  for (const point of points)
    if (drawable(point[1])) result.at(-1)!.push(point);
    else if (result.at(-1)!.length > 0) result.push([]);
  return result.filter((piece) => piece.length > 0);
}

interface XAxis {
  readonly at: (x: number) => number;
  readonly ticks: readonly number[];
}

/** A linear x axis from `left` to `right` that holds all points of some lines. */
function xAxis(lines: readonly Line[], left: number, right: number): XAxis {
  const xs = lines.flatMap(({ points }) => points.map(([x]) => x));
  const [first, end] = xs.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  const last = roundedUp(first, end);
  return {
    at: (x) => (last > first ? left + 8 + ((x - first) / (last - first)) * (right - left - 16) : (left + right) / 2),
    ticks: xs.length > 0 ? linearTicks(first, last) : [],
  };
}

/** A chart as an SVG document. The same chart gives the same text. */
export function chartSvg({ title, subtitle, xLabel, panels, legend: shared }: Chart): string {
  const [left, right] = [margin.left, width - margin.right];
  const names = shared ? sharedLegend(shared, left, right, margin.top - 18) : { drawn: [], rows: 0 };
  const first = margin.top + legendRow * names.rows;
  const tops: number[] = [];
  for (const [n] of panels.entries()) {
    const before = panels[n - 1];
    const room = before ? panelHeight + gap + (before.xLabel === undefined ? 0 : margin.bottom - 14) : 0;
    tops.push((tops.at(-1) ?? first) + room);
  }
  const height = (tops.at(-1) ?? first) + panelHeight + margin.bottom;
  const common = xAxis(
    panels.filter((panel) => panel.xLabel === undefined).flatMap(({ lines }) => lines),
    left,
    right,
  );
  const nameX = ({ at, ticks }: XAxis, label: string, bottom: number): string[] => [
    ...ticks.map((x) => text(at(x), bottom + 20, String(Number(x.toPrecision(12))), { anchor: "middle" })),
    text((left + right) / 2, bottom + 44, escaped(label), { anchor: "middle", color: ink, size: 13 }),
  ];

  const drawPanel = ({ label, lines, scale = "log", xLabel: ownX }: Panel, n: number): string[] => {
    const top = tops[n]!;
    const bottom = top + panelHeight;
    const x = ownX === undefined ? common : xAxis(lines, left, right);
    const logarithmic = scale === "log";
    const drawable = (y: number): boolean => Number.isFinite(y) && (y > 0 || !logarithmic);
    const map = (y: number): number => (logarithmic ? Math.log(y) : y);
    const ys = lines.flatMap(({ points }) => points.map(([, y]) => y).filter(drawable));
    const axis = logarithmic ? logAxis(ys) : linearAxis(ys);
    const [low, span] = [map(axis.low), map(axis.high) - map(axis.low)];
    const atY = (y: number): number => bottom - ((map(y) - low) / span) * panelHeight;
    const grid = axis.ticks.flatMap(({ value, label: name }) => [
      segment(left, atY(value), right, atY(value), name === undefined ? faint : rule),
      ...(name === undefined ? [] : [text(left - 10, atY(value) + 4, name, { anchor: "end" })]),
    ]);
    const vertical = x.ticks.map((value) => segment(x.at(value), top, x.at(value), bottom, faint));
    const drawn = lines.flatMap(({ points, color }) => {
      const path = pieces(points, drawable)
        .map((piece) => piece.map(([a, b], i) => `${i === 0 ? "M" : "L"}${fixed(x.at(a))} ${fixed(atY(b))}`).join(""))
        .join("");
      // A few points are shown as such; of many, the line says enough.
      const dots = points.length > 60 ? [] : points.filter(([, y]) => drawable(y));
      return [
        `<path d="${path}" fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/>`,
        ...dots.map(([a, b]) => `<circle cx="${fixed(x.at(a))}" cy="${fixed(atY(b))}" r="3" fill="${color}"/>`),
      ];
    });
    const frame = segment(left, bottom, right, bottom, soft) + segment(left, top, left, bottom, soft);
    const axisLabel = text(22, (top + bottom) / 2, escaped(label), {
      anchor: "middle",
      rotate: -90,
      color: ink,
      size: 13,
    });
    return [
      ...vertical,
      ...grid,
      frame,
      ...drawn,
      axisLabel,
      ...(shared ? [] : legend(lines, right, top)),
      ...(ownX === undefined ? [] : nameX(x, ownX, bottom)),
    ];
  };

  const bottom = height - margin.bottom;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(left, 32, escaped(title), { size: 17, weight: 600, color: ink }),
    ...(subtitle === undefined ? [] : [text(left, 54, escaped(subtitle), { size: 12.5 })]),
    ...names.drawn,
    ...panels.flatMap(drawPanel),
    ...(xLabel === undefined ? [] : nameX(common, xLabel, bottom)),
    "</svg>",
    "",
  ].join("\n");
}

/** Names of the lines of a panel, side by side above its right end; a single line is named by the axis. */
function legend(lines: readonly Line[], right: number, top: number): string[] {
  if (lines.length < 2) return [];
  let left = right;
  return lines.toReversed().flatMap(({ label, color }) => {
    const end = left;
    // Letters are at most about 6 pixels wide at this size.
    left -= 6 * label.length + 48;
    return [
      `<path d="M${fixed(end - 6 * label.length - 30)} ${top - 16}h20" stroke="${color}" stroke-width="3" stroke-linecap="round"/>`,
      text(end, top - 12, escaped(label), { color: ink, anchor: "end" }),
    ];
  });
}

/** Names of lines in rows from the left, the first of them at `top`. */
function sharedLegend(
  lines: readonly Pick<Line, "label" | "color">[],
  left: number,
  right: number,
  top: number,
): { drawn: string[]; rows: number } {
  let [x, row] = [left, 0];
  const drawn = lines.flatMap(({ label, color }) => {
    const wide = 6.2 * label.length + 48;
    if (x > left && x + wide > right + 20) [x, row] = [left, row + 1];
    const y = top + legendRow * row;
    const start = x;
    x += wide;
    return [
      `<path d="M${fixed(start)} ${fixed(y - 4)}h20" stroke="${color}" stroke-width="3" stroke-linecap="round"/>`,
      text(start + 26, y, escaped(label), { color: ink }),
    ];
  });
  return { drawn, rows: lines.length > 0 ? row + 1 : 0 };
}
