import { UsageError } from "../errors.ts";

/** Noise levels sigma / alpha, above the first and up to the second. */
export type Interval = readonly [low: number, high: number];

/** Is there guidance at this noise level sigma / alpha? Section 3, Kynkäänniemi et al. 2024: sigma in (sigma_lo, sigma_hi]. */
export const inInterval = ([low, high]: Interval, ratio: number): boolean => low < ratio && ratio <= high;

/** Throws UsageError unless low and high are noise levels with something between them. */
export function checkInterval([low, high]: Interval): void {
  if (!(low >= 0 && low < high && high < Infinity))
    throw new UsageError(
      `guidance interval: expected two finite noise levels sigma / alpha, 0 <= low < high, but they are ${low} and ${high}`,
    );
}
