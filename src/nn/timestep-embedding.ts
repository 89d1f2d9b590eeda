import { float32 } from "../ndarray.ts";
import { concat } from "../tensor/functions.ts";
import { constant, type Tensor } from "../tensor/tensor.ts";

/**
 * Sinusoidal embedding [cos(t w_i) | sin(t w_i)] with w_i = maxPeriod^(-i / (width / 2)) (Vaswani et al. 2017).
 *
 * @param t float32 [N]: timesteps of the original chain, fractions allowed.
 * @returns [N, width]; an odd width ends with a column of zeros.
 */
export function timestepEmbedding(t: Tensor, width: number, maxPeriod = 10000): Tensor {
  const half = Math.floor(width / 2);
  const frequencies = Float32Array.from({ length: half }, (_, i) => maxPeriod ** (-i / half));
  const angles = t.reshape(-1, 1).mul(constant(float32([1, half], frequencies))); // [N, width / 2]
  return concat([angles.cos(), angles.sin()], 1).pad([0, 0], [0, width % 2]);
}
