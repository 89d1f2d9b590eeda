import { ShapeError } from "../errors.ts";
import { show } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";

/**
 * Each block of factor x factor pixels as one pixel of factor^2 times the channels, in the order [channel, row, column] of PyTorch's
 * `pixel_unshuffle`: [N, C, H, W] -> [N, factor^2 C, H / factor, W / factor]. `depthToSpace` is its inverse, and both only move numbers.
 * Throws ShapeError where height or width are no multiples of the factor.
 */
export function spaceToDepth(x: Tensor, factor: number): Tensor {
  if (factor === 1) return x;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  if (x.rank !== 4 || height % factor !== 0 || width % factor !== 0)
    throw new ShapeError(
      `spaceToDepth: x must be [N, C, H, W] with H and W divisible by ${factor} but is ${show(x.shape)}`,
    );
  const [h, w] = [height / factor, width / factor];
  return x
    .reshape(n, channels, h, factor, w, factor)
    .permute(0, 1, 3, 5, 2, 4)
    .reshape(n, channels * factor ** 2, h, w);
}

/**
 * The inverse of `spaceToDepth`: [N, factor^2 C, h, w] -> [N, C, factor h, factor w].
 * Throws ShapeError where the channels are no multiple of factor^2.
 */
export function depthToSpace(x: Tensor, factor: number): Tensor {
  if (factor === 1) return x;
  const [n, depth, h, w] = x.shape as [number, number, number, number];
  if (x.rank !== 4 || depth % factor ** 2 !== 0)
    throw new ShapeError(
      `depthToSpace: x must be [N, C, H, W] with C divisible by ${factor ** 2} but is ${show(x.shape)}`,
    );
  const channels = depth / factor ** 2;
  return x
    .reshape(n, channels, factor, factor, h, w)
    .permute(0, 1, 4, 2, 5, 3)
    .reshape(n, channels, factor * h, factor * w);
}
