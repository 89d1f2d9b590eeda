import type { Predictor } from "../../src/guidance/predictor.ts";
import { float32 } from "../../src/ndarray.ts";
import { constant, type Tensor } from "../../src/tensor/tensor.ts";

/** A mixture of round normal distributions in the plane; points are images [2, 1, 1]. */
export interface Mixture {
  readonly weights: readonly number[];
  readonly means: readonly (readonly [number, number])[];
  readonly deviations: readonly number[];
}

/**
 * What a perfect denoiser knows, in closed form: x_t of component k is N(alpha m_k, v_k) with v_k = alpha^2 s_k^2 + sigma^2, so
 * E[x0 | x_t] = sum of p(k | x_t) (m_k + alpha s_k^2 / v_k (x_t - alpha m_k)). For every Gaussian process.
 */
export const exactPredictor =
  ({ weights, means, deviations }: Mixture): Predictor =>
  (xt, c) => {
    const [count, kinds] = [xt.shape[0]!, weights.length];
    const row = (values: readonly number[], ...shape: number[]): Tensor => constant(float32(shape, values));
    const [alpha, sigma] = [c.alpha.reshape(-1, 1), c.sigma.reshape(-1, 1)];
    const spread = row(
      deviations.map((s) => s ** 2),
      1,
      kinds,
    );
    const variance = alpha.square().mul(spread).add(sigma.square()); // [N, K]
    const centres = row(means.flat(), 1, kinds, 2);
    const off = xt.reshape(count, 1, 2).sub(alpha.reshape(-1, 1, 1).mul(centres)); // [N, K, 2]
    const logWeights = row(weights.map(Math.log), 1, kinds);
    const belongs = logWeights.sub(variance.log()).sub(off.square().sum(2).div(variance).mul(0.5)).softmax();
    const pull = alpha.mul(spread).div(variance).reshape(count, kinds, 1);
    const x0 = belongs
      .reshape(count, kinds, 1)
      .mul(centres.add(pull.mul(off)))
      .sum(1)
      .reshape(count, 2, 1, 1);
    const eps = xt.sub(x0.mul(alpha.reshape(-1, 1, 1, 1))).div(sigma.reshape(-1, 1, 1, 1));
    const each = (values: Tensor): Tensor => values.reshape(-1, 1, 1, 1);
    return { x0, eps, variance: each(c.posteriorVariance), logVariance: each(c.posteriorLogVariance) };
  };

/** The same, written down a second time for numbers: z = x_t / alpha of one point and r = sigma / alpha give E[x0 | x_t]. */
export function exactImage({ weights, means, deviations }: Mixture, z: readonly number[], r: number): number[] {
  const parts = weights.map((weight, k) => {
    const variance = deviations[k]! ** 2 + r ** 2;
    const off = z.map((value, axis) => value - means[k]![axis]!);
    const distance = off[0]! ** 2 + off[1]! ** 2;
    const image = off.map((value, axis) => means[k]![axis]! + (deviations[k]! ** 2 / variance) * value);
    return { log: Math.log(weight) - Math.log(variance) - distance / (2 * variance), image };
  });
  const most = Math.max(...parts.map(({ log }) => log));
  const shares = parts.map(({ log }) => Math.exp(log - most));
  const total = shares.reduce((a, b) => a + b, 0);
  return z.map((_, axis) => parts.reduce((sum, { image }, k) => sum + (shares[k]! / total) * image[axis]!, 0));
}

/** dz / dlog r = z - x0, from one r to another, by the classical Runge-Kutta method in steps too small to matter; then x0. */
export function exactFlow(mixture: Mixture, z: readonly number[], from: number, to: number, steps = 1500): number[] {
  const h = Math.log(to / from) / steps;
  const slope = (z: readonly number[], log: number): number[] => {
    const image = exactImage(mixture, z, Math.exp(log));
    return z.map((value, axis) => value - image[axis]!);
  };
  const moved = (z: readonly number[], k: readonly number[], by: number) =>
    z.map((value, axis) => value + by * k[axis]!);
  let now = [...z];
  for (let i = 0; i < steps; i++) {
    const log = Math.log(from) + i * h;
    const k1 = slope(now, log);
    const k2 = slope(moved(now, k1, h / 2), log + h / 2);
    const k3 = slope(moved(now, k2, h / 2), log + h / 2);
    const k4 = slope(moved(now, k3, h), log + h);
    now = now.map((value, axis) => value + (h / 6) * (k1[axis]! + 2 * k2[axis]! + 2 * k3[axis]! + k4[axis]!));
  }
  return exactImage(mixture, now, to);
}
