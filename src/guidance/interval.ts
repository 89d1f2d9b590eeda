import { UsageError } from "../errors.ts";

/** Noise levels sigma / alpha, above the first and up to the second. The upper one may be Infinity. */
export type Interval = readonly [low: number, high: number];

/** Guidance everywhere. */
export const everywhere: Interval = [0, Infinity];

/** Is there guidance at this noise level sigma / alpha? Section 3, Kynkäänniemi et al. 2024: sigma in (sigma_lo, sigma_hi]. */
export const inInterval = ([low, high]: Interval, ratio: number): boolean => low < ratio && ratio <= high;

/** Throws UsageError unless low and high are noise levels with something between them. */
export function checkInterval([low, high]: Interval): void {
  if (!(low >= 0 && low < high))
    throw new UsageError(
      `guidance interval: expected two noise levels sigma / alpha, 0 <= low < high, but they are ${low} and ${high}`,
    );
}
