import { UsageError } from "../errors.ts";

/** How the noise grows over a chain: `linear` of Ho et al. 2020, `cosine` of Nichol & Dhariwal 2021. */
export type Schedule = "linear" | "cosine";

/** No step destroys more than this part of the signal's variance: the cosine schedule would end in a singularity. */
const maximumBeta = 0.999;

/**
 * cos(x) for 0 <= x <= pi / 2, where it is near 1 rounded as if it were exact: beta is the difference of two such cosines, and
 * Math.cos may differ in the last bit between engines, which would show in the eleventh digit of beta.
 */
function cosine(x: number): number {
  // 1 - x^2 / 2 + x^4 / 24 ..., with x^2 as the exact square of x's leading bits and a remainder.
  const leading = Math.fround(x);
  const half = (leading * leading) / 2;
  let series = 1;
  for (let n = 20; n >= 6; n -= 2) series = 1 - ((x * x) / (n * (n - 1))) * series;
  const remainder = ((x + leading) * (x - leading)) / 2;
  return 1 - half + (1 - (1 - half) - half - remainder + (x ** 4 / 24) * series);
}

/** Cumulative signal variance of the cosine schedule at `time` in [0, 1]. Eq. 17, Nichol & Dhariwal 2021, s = 0.008. */
const cosineAlphaBar = (time: number): number => cosine((((time + 0.008) / 1.008) * Math.PI) / 2) ** 2;

/**
 * Variance of the noise that each step adds, `q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t)`.
 *
 * @param steps length T of the chain. The linear schedule runs from 0.1/T to 20/T, so that its end does not depend on T.
 * @returns float64 [T], each in (0, 1).
 * @throws UsageError where `steps` is no positive integer, or too small for the linear schedule.
 */
export function betas(schedule: Schedule, steps: number): Float64Array {
  if (!Number.isInteger(steps) || steps < 1)
    throw new UsageError(`schedule: the number of steps must be a positive integer but is ${steps}`);
  if (schedule === "cosine")
    return Float64Array.from({ length: steps }, (_, i) =>
      Math.min(1 - cosineAlphaBar((i + 1) / steps) / cosineAlphaBar(i / steps), maximumBeta),
    );
  const [first, last] = [0.1 / steps, 20 / steps];
  if (last >= 1)
    throw new UsageError(`schedule: "linear" needs more than 20 steps but ${steps} were asked for; use "cosine"`);
  return Float64Array.from({ length: steps }, (_, i) => first + (i * (last - first)) / Math.max(steps - 1, 1));
}

/**
 * The same schedule, shifted and scaled in sqrt(alpha bar) so that its last step ends in pure noise, alpha_T = 0, and its first stays
 * as it is. Algorithm 1, Lin et al. 2023, "Common diffusion noise schedules and sample steps are flawed".
 *
 * @param betas float64 [T], T of at least 2.
 * @throws UsageError for a chain of one step, which has no other end than its beginning.
 */
export function zeroTerminalSnr(betas: Float64Array): Float64Array {
  if (betas.length < 2) throw new UsageError("zero terminal SNR needs a schedule of at least 2 steps");
  let alphaBar = 1;
  const alphas = betas.map((beta) => {
    alphaBar *= 1 - beta;
    return Math.sqrt(alphaBar);
  });
  const [first, last] = [alphas[0]!, alphas.at(-1)!];
  const shifted = alphas.map((alpha) => ((alpha - last) * first) / (first - last));
  return shifted.map((alpha, i) => 1 - (alpha / (shifted[i - 1] ?? 1)) ** 2);
}
