import { ModelError } from "../errors.ts";
import { concat } from "../tensor/functions.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { groupNorm } from "./group-norm.ts";
import { pointwise } from "./layers.ts";
import { module, parameter, zeroInit } from "./module.ts";

/** Heads of `channels`: each `headChannels` wide where given, else `heads` of them. Throws ModelError where they do not divide. */
export function headCount(
  channels: number,
  { heads = 1, headChannels }: { heads?: number | undefined; headChannels?: number | undefined },
): number {
  const count = headChannels === undefined ? heads : channels / headChannels;
  if (!Number.isInteger(count) || channels % count !== 0)
    throw new ModelError(
      headChannels === undefined
        ? `attention: ${channels} channels do not divide into ${heads} heads; choose another number of heads`
        : `attention: ${channels} channels do not divide into heads of ${headChannels} channels; choose another head width`,
    );
  return count;
}

/** Softmax attention of each query to all keys: q [B, C, Q], k and v [B, C, K] -> [B, C, Q]. */
function attend(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const scale = q.shape[1]! ** -0.25; // on both q and k, so that half precision keeps their product in range
  const weights = q.mul(scale).transpose().matmul(k.mul(scale)).softmax(); // [B, Q, K]
  return v.matmul(weights.transpose());
}

/**
 * A layer: self-attention between the pixels of [N, C, H, W], with a residual connection.
 *
 * @param newOrder how the 3C projected channels are laid out: [q | k | v] with heads inside each, or, in the older order,
 *   heads with [q | k | v] inside each. Weights trained for one order do not fit the other.
 */
export function attentionBlock(channels: number, heads: number, { newOrder = true, groups = 32 } = {}) {
  const children = {
    norm: groupNorm(channels, groups),
    qkv: pointwise(channels, 3 * channels),
    proj_out: zeroInit(pointwise(channels, channels)),
  };
  return module(children, ({ norm, qkv, proj_out }, x: Tensor) => {
    const [n, , h, w] = x.shape as [number, number, number, number];
    const projected = qkv(norm(x));
    const parts = newOrder
      ? projected.reshape(n, 3 * channels, h * w).split(1, 3)
      : projected.reshape(n * heads, (3 * channels) / heads, h * w).split(1, 3);
    const [q, k, v] = parts.map((part) => part.reshape(n * heads, channels / heads, h * w)) as [Tensor, Tensor, Tensor];
    return x.add(proj_out(attend(q, k, v).reshape(n, channels, h, w)));
  });
}

/**
 * A layer, attention pooling (Radford et al. 2021): the mean pixel attends to itself and to all pixels.
 * [N, C, height, width] -> [N, outputs]; `size` is both sides where it is one number.
 */
export function attentionPool(
  size: number | readonly [height: number, width: number],
  channels: number,
  heads: number,
  outputs: number,
) {
  const area = typeof size === "number" ? size ** 2 : size[0] * size[1];
  const children = {
    positional_embedding: parameter([channels, area + 1], { kind: "normal", std: channels ** -0.5 }),
    qkv_proj: pointwise(channels, 3 * channels),
    c_proj: pointwise(channels, outputs),
  };
  return module(children, ({ positional_embedding, qkv_proj, c_proj }, x: Tensor) => {
    const n = x.shape[0]!;
    const pixels = x.reshape(n, channels, -1);
    const tokens = concat([pixels.mean(2, true), pixels], 2).add(positional_embedding); // [N, C, 1 + area]
    const length = tokens.shape[2]!;
    const [q, k, v] = qkv_proj(tokens.reshape(n, channels, 1, length))
      .split(1, 3)
      .map((part) => part.reshape(n * heads, channels / heads, length)) as [Tensor, Tensor, Tensor];
    const pooled = attend(q.slice(2, 0, 1), k, v); // the mean's query alone
    return c_proj(pooled.reshape(n, channels, 1, 1)).reshape(n, outputs);
  });
}
