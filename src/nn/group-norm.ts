import { ShapeError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { module, parameter } from "./module.ts";

const epsilon = 1e-5;

/** How many groups `channels` are normalised in when at most `groups` are wanted: the greatest common divisor. */
export function groupCount(channels: number, groups: number): number {
  return groups === 0 ? channels : groupCount(groups, channels % groups);
}

/** (h - mean) / sqrt(var + 1e-5), over each image's groups of neighbouring channels. [N, C, ...] -> [N, C, ...]. Wu & He 2018. */
export function normalizeGroups(h: Tensor, channels: number, groups: number): Tensor {
  if (h.shape[1] !== channels)
    throw new ShapeError(`groupNorm: expects ${channels} channels but x is [${h.shape.join(", ")}]`);
  return h
    .reshape(h.shape[0]!, groupCount(channels, groups), -1)
    .normalize(epsilon)
    .reshape(...h.shape);
}

/** scale * h + shift, with coefficients [C] or [N, C] for h [N, C, ...]: one multiplication and one addition per element. */
export function scaleShift(h: Tensor, scale: Tensor, shift: Tensor): Tensor {
  const perChannel = [-1, h.shape[1]!, ...h.shape.slice(2).map(() => 1)];
  return h.mul(scale.reshape(...perChannel)).add(shift.reshape(...perChannel));
}

/** Parameters of a normalisation's own scale and shift, one per channel. */
export const affine = (channels: number) => ({
  weight: parameter([channels], { kind: "constant", value: 1 }),
  bias: parameter([channels], { kind: "constant", value: 0 }),
});

/** GroupNorm(h) = weight * normalized(h) + bias. [N, C, ...] -> [N, C, ...]. */
export const groupNorm = (channels: number, groups = 32) =>
  module(affine(channels), ({ weight, bias }, h: Tensor) =>
    scaleShift(normalizeGroups(h, channels, groups), weight, bias),
  );
