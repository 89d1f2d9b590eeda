import { UsageError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The running average of the weights, with which one samples. */
export interface EmaOptions {
  /**
   * Share of the old running average of the weights that an update keeps; 0.9999 by default. With `emaWarmUp` that is reached after 90,000
   * updates only: until then the average is the power-function one of length 0.09, a share of the run.
   */
  emaRate?: number;
  /** Forget the random first weights sooner: the rate starts low and rises with the updates. On by default. */
  emaWarmUp?: boolean;
}

/** Weight of the new parameters in the average after update number `update` (1, 2, ...): 1 - min(rate, (1 + update) / (10 + update)). */
export function emaWeight(update: number, { emaRate = 0.9999, emaWarmUp = true }: EmaOptions = {}): number {
  return 1 - (emaWarmUp ? Math.min(emaRate, (1 + update) / (10 + update)) : emaRate);
}

/** average + weight (parameter - average); `weight` of rank 0. */
export const ema = (average: Tensor, parameter: Tensor, weight: Tensor): Tensor =>
  average.add(parameter.sub(average).mul(weight));

/*
 * Averages of the weights whose length can be chosen after training. Karras et al. 2024, "Analyzing and improving the training
 * dynamics of diffusion models", section 3.
 *
 * At step t such an average weighs the weights of step s by p(s) = (gamma + 1) s^gamma / t^(gamma + 1): a share of the whole run, not a
 * number of steps. Its *length* is the standard deviation of p over t. Snapshots of two averages, taken now and then, are enough to
 * put together another average by least squares.
 */

/** An average as it stands after `step` updates. */
export interface PowerProfile {
  /** Updates that it covers. */
  readonly step: number;
  /** Standard deviation of its weights over the steps, as a share of the steps. */
  readonly length: number;
}

/** The averages that training keeps, by name: their lengths. */
export const trackedLengths = { short: 0.05, long: 0.1 } as const;
/** Their names. */
export type TrackedAverage = keyof typeof trackedLengths;
export const trackedAverages = Object.keys(trackedLengths) as readonly TrackedAverage[];

/** That of gamma = 0, which weighs all steps alike. */
const longest = Math.sqrt(1 / 12);

/**
 * Exponent gamma of the average of a length: (gamma + 1) / ((gamma + 2)^2 (gamma + 3)) = length^2. Algorithm 2.
 *
 * @throws UsageError for a length that no average has.
 */
export function powerExponent(length: number): number {
  if (!(length >= 0.001 && length <= longest))
    throw new UsageError(
      `the length of an average must be from 0.001 to ${longest.toPrecision(3)}, as a share of the run, but is ${length}`,
    );
  let [low, high] = [0, 1 / length];
  while (high - low > 1e-14 * high) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    const variance = (middle + 1) / ((middle + 2) ** 2 * (middle + 3));
    if (variance > length ** 2) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Weight of the new parameters in the average after update number `update` (1, 2, ...): 1 - (1 - 1 / t)^(gamma + 1). Section 3.1. */
export const powerEmaWeight = (update: number, length: number): number =>
  1 - (1 - 1 / update) ** (powerExponent(length) + 1);

/** Integral of the product of two profiles. Algorithm 3. */
function overlap(a: PowerProfile, b: PowerProfile): number {
  const [first, last] = a.step < b.step ? [a, b] : [b, a];
  const [early, late] = [powerExponent(first.length), powerExponent(last.length)];
  return (((early + 1) * (late + 1)) / (early + late + 1) / last.step) * (first.step / last.step) ** late;
}

/** How to put an average together. */
export interface Reconstruction {
  /** Factor of each snapshot. */
  readonly factors: readonly number[];
  /**
   * Euclidean norm of what is left between the average's profile and that of the sum, relative to the average's: the sum of weights
   * w(s) misses the average by at most `error` times the norm of the profile times that of w over the steps.
   */
  readonly error: number;
}

/**
 * Factors by which snapshots of averages add up to another average, by least squares of their profiles. Section 3.2, algorithm 3.
 *
 * @throws UsageError where there are no snapshots.
 */
export function reconstruct(snapshots: readonly PowerProfile[], wanted: PowerProfile): Reconstruction {
  if (snapshots.length === 0) throw new UsageError("there are no snapshots of averages to put another together from");
  const matrix = snapshots.map((a) => snapshots.map((b) => overlap(a, b)));
  const right = snapshots.map((snapshot) => overlap(snapshot, wanted));
  const factors = solve(matrix, right);
  const norm = overlap(wanted, wanted);
  const fit = factors.reduce((sum, factor, i) => {
    const along = matrix[i]!.reduce((product, value, j) => product + value * factors[j]!, 0);
    return sum + factor * (along - 2 * right[i]!);
  }, 0);
  return { factors, error: Math.sqrt(Math.max(norm + fit, 0) / norm) };
}

/** Solves a x = b by elimination with pivots. Rows that say nothing new, as of the same snapshot twice, give factors of 0. */
function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]!]);
  const size = rows.length;
  const negligible = 1e-15 * Math.max(...a.map((row, i) => row[i]!));
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let i = column + 1; i < size; i++)
      if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const top = rows[column]!;
    if (Math.abs(top[column]!) <= negligible) {
      top.fill(0);
      continue;
    }
    for (const row of rows.slice(column + 1)) {
      const factor = row[column]! / top[column]!;
      for (let j = column; j <= size; j++) row[j]! -= factor * top[j]!;
    }
  }
  const x = new Array<number>(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    const row = rows[i]!;
    if (row[i] === 0) continue;
    const rest = x.reduce((sum, value, j) => (j > i ? sum + row[j]! * value : sum), 0);
    x[i] = (row[size]! - rest) / row[i]!;
  }
  return x;
}
