import { ShapeError } from "../errors.ts";
import { show } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { affine, epsilon } from "./group-norm.ts";
import { module } from "./module.ts";

/**
 * A layer: weight * (x - mean) / sqrt(var + 1e-5) + bias, over the last axis (Ba et al. 2016). [..., width] -> [..., width].
 * Applying it throws ShapeError where the last axis is of another length.
 */
export const layerNorm = (width: number) =>
  module(affine(width), ({ weight, bias }, x: Tensor) => {
    if (x.shape.at(-1) !== width) throw new ShapeError(`layerNorm: x must be [..., ${width}] but is ${show(x.shape)}`);
    return x.normalize(epsilon).mul(weight).add(bias);
  });
