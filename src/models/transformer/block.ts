import { epsilon } from "../../nn/group-norm.ts";
import { linear, silu } from "../../nn/layers.ts";
import { module, parameter, zeroInit } from "../../nn/module.ts";
import { type Grid, rotate } from "../../nn/positions.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { innerSize, type PixelTransformerConfig } from "./config.ts";

/**
 * Adaptive layer normalisation's numbers, `count` of them for each channel, from the embedding of timestep and class. They start at zero:
 * with them a block leaves its tokens as they are (adaLN-Zero, Peebles & Xie 2023). emb [N, width] -> count tensors [N, 1, width].
 */
export const modulation = (width: number, count: number) =>
  module({ 1: zeroInit(linear(width, count * width)) }, (layers, emb: Tensor) =>
    layers[1](silu(emb))
      .split(1, count)
      .map((part) => part.reshape(-1, 1, width)),
  );

/** (1 + scale) LayerNorm(x) + shift, a normalisation without parameters of its own. x [N, T, width], scale and shift [N, 1, width]. */
export const modulate = (x: Tensor, scale: Tensor, shift: Tensor): Tensor =>
  x.normalize(epsilon).mul(scale.add(1)).add(shift);

/** A layer's map of every token: the product is one of matrices, [N T, in] x [in, out], whose gradient needs no sum over images. */
export function onTokens(layer: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const [n, tokens, width] = x.shape as [number, number, number];
  return layer(x.reshape(n * tokens, width)).reshape(n, tokens, -1);
}

/** Scale of normalised queries or keys. */
const gain = (width: number) => ({ weight: parameter([width], { kind: "constant", value: 1 }) });

/**
 * Self-attention between tokens of a grid, [N, T, width] -> the same. Queries and keys are normalised, so that their products stay in range
 * (Dehghani et al. 2023), and turned by their places (`rotate`).
 */
const attention = ({ hiddenSize, numHeads }: PixelTransformerConfig) => {
  const head = hiddenSize / numHeads;
  const children = {
    qkv: linear(hiddenSize, 3 * hiddenSize),
    q_norm: gain(head),
    k_norm: gain(head),
    proj: linear(hiddenSize, hiddenSize),
  };
  return module(children, ({ qkv, q_norm, k_norm, proj }, x: Tensor, grid: Grid) => {
    const [n, tokens] = x.shape as [number, number];
    const [q, k, v] = onTokens(qkv, x)
      .split(2, 3)
      .map((part) => part.reshape(n, tokens, numHeads, head).permute(0, 2, 1, 3)) as [Tensor, Tensor, Tensor];
    const placed = (part: Tensor, { weight }: { readonly weight: Tensor }): Tensor =>
      rotate(part.normalize(epsilon).mul(weight), grid);
    const weights = placed(q, q_norm)
      .mul(head ** -0.5)
      .matmul(placed(k, k_norm).transpose())
      .softmax(); // [N, heads, T, T]
    return onTokens(proj, weights.matmul(v).permute(0, 2, 1, 3).reshape(n, tokens, hiddenSize));
  });
};

/** Two linear maps of every token, one of which gates the other, and a third (SwiGLU, Shazeer 2020). [N, T, width] -> the same. */
const gatedLayer = (config: PixelTransformerConfig) => {
  const inner = innerSize(config);
  const children = { w12: linear(config.hiddenSize, 2 * inner), w3: linear(inner, config.hiddenSize) };
  return module(children, ({ w12, w3 }, x: Tensor) => {
    const [gate, value] = onTokens(w12, x).split(2, 2) as [Tensor, Tensor];
    return onTokens(w3, gate.silu().mul(value));
  });
};

/**
 * A block of the transformer: attention, then a gated layer, each between an adaptive layer normalisation and a gate, both of the
 * embedding (figure 3, Peebles & Xie 2023). x [N, T, width], emb [N, width] -> [N, T, width].
 */
export const transformerBlock = (config: PixelTransformerConfig) =>
  module(
    { attn: attention(config), mlp: gatedLayer(config), adaLN_modulation: modulation(config.hiddenSize, 6) },
    ({ attn, mlp, adaLN_modulation }, x: Tensor, emb: Tensor, grid: Grid) => {
      const [shift1, scale1, gate1, shift2, scale2, gate2] = adaLN_modulation(emb) as [
        ...[Tensor, Tensor, Tensor],
        ...[Tensor, Tensor, Tensor],
      ];
      const attended = x.add(attn(modulate(x, scale1, shift1), grid).mul(gate1));
      return attended.add(mlp(modulate(attended, scale2, shift2)).mul(gate2));
    },
  );
