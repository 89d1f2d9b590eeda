import { float32 } from "../ndarray.ts";
import { averagePool2d, upsampleNearest2d } from "../tensor/functions.ts";
import { constant, type Tensor } from "../tensor/tensor.ts";
import { conv2d } from "./layers.ts";
import { module } from "./module.ts";

/** Mean of each 2x2 block; an odd last row or column is left out. [N, C, H, W] -> [N, C, floor(H / 2), floor(W / 2)]. */
export function halve(x: Tensor): Tensor {
  const [, , h, w] = x.shape as [number, number, number, number];
  return averagePool2d(x.slice(2, 0, h - (h % 2)).slice(3, 0, w - (w % 2)), 2);
}

/** Every pixel 2x2 times. [N, C, H, W] -> [N, C, 2H, 2W]. */
export const double = (x: Tensor): Tensor => upsampleNearest2d(x, 2);

/** Halving by a learned convolution. [N, C, H, W] -> [N, C, H / 2, W / 2], rounded up. */
export const convDownsample = (channels: number) =>
  module({ op: conv2d(channels, channels, 3, { stride: 2 }) }, ({ op }, x: Tensor) => op(x));

/** Doubling, then a learned convolution. [N, C, H, W] -> [N, C, 2H, 2W]. */
export const convUpsample = (channels: number) =>
  module({ conv: conv2d(channels, channels, 3) }, ({ conv }, x: Tensor) => conv(double(x)));

/** Weights [to, from] by which `to` samples interpolate `from` linearly, pixel centres at i + 1/2, edges repeated. */
function interpolation(from: number, to: number): Tensor {
  const weights = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const position = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const left = Math.min(Math.floor(position), from - 1);
    const right = Math.min(left + 1, from - 1);
    weights[i * from + left]! += 1 - (position - left);
    weights[i * from + right]! += position - left;
  }
  return constant(float32([to, from], weights));
}

/** Bilinear interpolation without smoothing (PyTorch's `align_corners=False`). [N, C, h, w] -> [N, C, height, width]. */
export function resizeBilinear(x: Tensor, height: number, width: number): Tensor {
  const [, , h, w] = x.shape as [number, number, number, number];
  const wide = w === width ? x : x.matmul(interpolation(w, width).transpose());
  return h === height ? wide : interpolation(h, height).matmul(wide);
}
