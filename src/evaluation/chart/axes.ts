import type { Line } from "./chart.ts";

export interface Tick {
  readonly value: number;
  /** As SVG; none where the line is only a guide for the eye. */
  readonly label?: string;
}

/** Range of a y axis, and its ticks. */
export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly Tick[];
}

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

/** Range and ticks of a logarithmic axis that holds all values, which are positive. */
export function logAxis(values: readonly number[]): Axis {
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

/** Range and ticks of a linear axis that holds all values, with a little room around them. */
export function linearAxis(values: readonly number[]): Axis {
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

/** log(y / (1 - y)), where y is a share; 0 and 1 stand beyond all others. */
export const logit = (y: number): number => Math.log(y / (1 - y));

/** Ticks of shares, each beside 1 less it; those that come first get their labels first. */
const SHARES = [0.5, 0.1, 0.01, 0.001, 0.2, 0.05, 0.02, 0.005, 0.002, 0.3, 0.4];

/** Range and ticks of an axis of shares that holds all values, each above 0 and below 1. */
export function shareAxis(values: readonly number[]): Axis {
  const [least, most] = values.reduce(([low, high], y) => [Math.min(low, y), Math.max(high, y)], [1, 0]);
  if (!(most >= least)) return { low: 0.1, high: 0.9, ticks: [] };
  const room = Math.max(0.06 * (logit(most) - logit(least)), 0.1);
  const share = (z: number): number => 1 / (1 + Math.exp(-z));
  const [low, high] = [share(logit(least) - room), share(logit(most) + room)];
  const inside = [...new Set(SHARES.flatMap((p) => [p, 1 - p]))].filter((p) => p >= low && p <= high);
  const label = (p: number): string => `${Number((100 * p).toPrecision(4))}%`;
  const ticks = inside.map((value) => ({ value, label: label(value) }));
  if (ticks.length >= 3) return { low, high, ticks: spaced(ticks, low, high) };
  // In a narrow range, round numbers.
  const narrow = linearAxis(values).ticks.filter(({ value }) => value > low && value < high);
  return { low, high, ticks: narrow.map(({ value }) => ({ value, label: label(value) })) };
}

/** Ticks without the labels that would stand on earlier ones. */
function spaced(ticks: readonly Tick[], low: number, high: number): Tick[] {
  const least = (logit(high) - logit(low)) / 14;
  const taken: number[] = [];
  return ticks.map((tick) => {
    const at = logit(tick.value);
    if (taken.some((other) => Math.abs(at - other) < least)) return { value: tick.value };
    taken.push(at);
    return tick;
  });
}

/** Where its values are, in pixels, and its ticks. */
export interface XAxis {
  readonly at: (x: number) => number;
  readonly ticks: readonly number[];
}

/** A linear x axis from `left` to `right` that holds all points of some lines. */
export function xAxis(lines: readonly Line[], left: number, right: number): XAxis {
  const xs = lines.flatMap(({ points, errors }) =>
    points.flatMap(([x], i) => {
      const error = errors?.[i]?.[0] || 0;
      return [x - error, x + error];
    }),
  );
  const [first, end] = xs.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  const last = roundedUp(first, end);
  return {
    at: (x) => (last > first ? left + 8 + ((x - first) / (last - first)) * (right - left - 16) : (left + right) / 2),
    ticks: xs.length > 0 ? linearTicks(first, last) : [],
  };
}
