import { DataError } from "./errors.ts";

/** What values stand for black and white, where an array or a picture has other numbers than bytes. */
export const valueRanges = ["0..1", "-1..1", "0..255"] as const;
/** One of `valueRanges`. */
export type ValueRange = (typeof valueRanges)[number];

const BOUNDS: Readonly<Record<ValueRange, readonly [low: number, high: number]>> = {
  "0..1": [0, 1],
  "-1..1": [-1, 1],
  "0..255": [0, 255],
};
/** How far rounding may carry a value beyond its range, as a part of the range. */
const SLACK = 1e-5;

/** Least and greatest of some values. Throws DataError, which begins with `name`, where one is not finite. */
export function extremesOf(values: ArrayLike<number>, name: string): [low: number, high: number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) throw new DataError(`${name}: expected finite values but number ${i} is ${value}`);
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

const holds = (range: ValueRange, [low, high]: readonly [number, number]): boolean => {
  const [least, most] = BOUNDS[range];
  const slack = SLACK * (most - least);
  return low >= least - slack && high <= most + slack;
};

/** The narrowest range that holds the extremes, of those allowed; undefined where none does. */
export const narrowestRange = (
  extremes: readonly [number, number],
  among: readonly ValueRange[],
): ValueRange | undefined => among.find((range) => holds(range, extremes));

const shown = (value: number): string => String(Number(value.toPrecision(6)));

/** "0.1 to 312". */
export const describeExtremes = ([low, high]: readonly [number, number]): string => `${shown(low)} to ${shown(high)}`;

/** Throws DataError, which begins with `name`, where values lie outside of a range. */
export function checkRange(range: ValueRange, extremes: readonly [number, number], name: string): void {
  if (!holds(range, extremes))
    throw new DataError(`${name}: expected values in ${range} but they are ${describeExtremes(extremes)}`);
}

/** Values in a range as bytes, the nearest ones. */
export function toBytes(values: ArrayLike<number>, range: ValueRange): Uint8Array {
  const [low, high] = BOUNDS[range];
  const scale = 255 / (high - low);
  // A clamped array rounds too, but halves to even.
  return Uint8Array.from(values, (value) => Math.min(255, Math.max(0, Math.round((value - low) * scale))));
}
