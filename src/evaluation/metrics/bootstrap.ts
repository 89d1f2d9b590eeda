import { integers } from "../../random.ts";

/** A number, and how far it would vary with other images of the same kind. */
export interface Estimate {
  /** The number. */
  readonly value: number;
  /** Standard deviation over bootstrap resamples (Efron 1979); NaN where there are too few images for one. */
  readonly error: number;
}

/** How errors are found by resampling. */
export interface BootstrapOptions {
  /** Resamples behind an error. */
  readonly replicates?: number;
  /** Seed of the resamples, a whole number from 0. Default 0. */
  readonly seed?: number;
}

/** Far from the streams of what else is drawn from the same seed. */
const BOOTSTRAP = 2 ** 51;

/** The stream of one resample; `purpose` keeps metrics apart. */
export const streamOf = (purpose: number, replicate: number): number => BOOTSTRAP + purpose * 2 ** 20 + replicate;

/** How often each of `count` items is among as many draws with replacement: the weights of one resample. */
export function resample(
  { seed, purpose, replicate }: { readonly seed: number; readonly purpose: number; readonly replicate: number },
  count: number,
): Float64Array {
  const weights = new Float64Array(count);
  for (const i of integers(seed, streamOf(purpose, replicate), count, count)) weights[i]! += 1;
  return weights;
}

/** Standard deviation, n - 1 in the denominator. */
export function deviation(values: ArrayLike<number>): number {
  // Squares of numbers beyond 1e150 are infinite.
  const unit = Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0) > 1e150 ? 2 ** 500 : 1;
  const all = Array.from(values, (value) => value / unit);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  return unit * Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (all.length - 1));
}

/** A value of weighted items, and its error; `of` gets the weight of each item, all 1 for the value itself. */
export function bootstrapped(
  count: number,
  purpose: number,
  of: (weights: Float64Array) => number,
  { replicates = 100, seed = 0 }: BootstrapOptions = {},
): Estimate {
  const value = of(new Float64Array(count).fill(1));
  const others = Array.from({ length: replicates }, (_, replicate) =>
    of(resample({ seed, purpose, replicate }, count)),
  );
  return { value, error: deviation(others) };
}

/** The weighted mean of numbers and its error. */
export const bootstrappedMean = (values: ArrayLike<number>, purpose: number, options?: BootstrapOptions): Estimate =>
  bootstrapped(
    values.length,
    purpose,
    (weights) => {
      let [sum, total] = [0, 0];
      for (let i = 0; i < weights.length; i++) {
        sum += weights[i]! * values[i]!;
        total += weights[i]!;
      }
      return sum / total;
    },
    options,
  );

/** Numbers of the metrics' streams. */
export const purposes = { frechet: 0, spatial: 1, precision: 2, recall: 3, kid: 4, inception: 5, accuracy: 6 } as const;
