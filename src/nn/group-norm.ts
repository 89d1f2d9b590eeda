import { ShapeError } from "../errors.ts";
import { apply, type Tensor } from "../tensor/tensor.ts";
import { module, parameter } from "./module.ts";

/** Added to the variance, as PyTorch's layers do. */
export const epsilon = 1e-5;

/** How many groups `channels` are normalised in when at most `groups` are wanted: the greatest common divisor. */
export function groupCount(channels: number, groups: number): number {
  return groups === 0 ? channels : groupCount(groups, channels % groups);
}

/**
 * scale * (h - mean) / sqrt(var + 1e-5) + shift, over each image's groups of neighbouring channels (Wu & He 2018).
 * h [N, C, ...], scale and shift [C] or [N, C] -> [N, C, ...].
 */
export function normalizeGroups(h: Tensor, scale: Tensor, shift: Tensor, groups: number): Tensor {
  const channels = scale.shape.at(-1)!;
  if (h.shape[1] !== channels)
    throw new ShapeError(`groupNorm: expects ${channels} channels but x is [${h.shape.join(", ")}]`);
  return apply("groupNorm", [h, scale.reshape(-1, channels), shift.reshape(-1, channels)], {
    groups: groupCount(channels, groups),
    epsilon,
  });
}

/** Parameters of a normalisation's own scale and shift, one per channel. */
export const affine = (channels: number) => ({
  weight: parameter([channels], { kind: "constant", value: 1 }),
  bias: parameter([channels], { kind: "constant", value: 0 }),
});

/**
 * A layer: weight * normalized(h) + bias, each image's channels in at most `groups` groups (Wu & He 2018). [N, C, ...] -> [N, C, ...].
 * Applying it throws ShapeError where h has another number of channels.
 */
export const groupNorm = (channels: number, groups = 32) =>
  module(affine(channels), ({ weight, bias }, h: Tensor) => normalizeGroups(h, weight, bias, groups));
