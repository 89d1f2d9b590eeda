import type { PixelTransformerConfig } from "../../../src/models/transformer/config.ts";
import type { Numbers } from "../../nn/numbers.ts";

/*
 * The transformer of pixels in plain loops over numbers, written from the papers and not from the network: DiT (Peebles & Xie 2023) for
 * adaLN-Zero, JiT (Li & He 2025) for the gated layer, Su et al. 2021 for rotations, with the tokens of one image at a time.
 */

type Vector = number[];

const silu = (x: number): number => x / (1 + Math.exp(-x));
const times = (vector: Vector, factor: number): Vector => vector.map((value) => factor * value);
const plus = (a: Vector, b: Vector): Vector => a.map((value, i) => value + b[i]!);
const dot = (a: Vector, b: Vector): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function normalized(vector: Vector): Vector {
  const mean = vector.reduce((sum, value) => sum + value, 0) / vector.length;
  const variance = vector.reduce((sum, value) => sum + (value - mean) ** 2, 0) / vector.length;
  return vector.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
}

/** Output for images x [N, C, H, W], at these timesteps and labels: [N, outChannels, H, W], flat. */
export function plainTransformer(
  config: PixelTransformerConfig,
  parameters: Readonly<Record<string, Numbers>>,
  x: Numbers,
  timesteps: readonly number[],
  labels: readonly number[],
): number[] {
  const { patchSize: p, hiddenSize: width, depth, numHeads, inChannels, outChannels } = config;
  const [, , height, columnsOfPixels] = x.shape as [number, number, number, number];
  const [rows, columns] = [height / p, columnsOfPixels / p];
  const head = width / numHeads;

  /** weight [out, in] times a vector, and the bias. */
  const linear = (name: string, vector: Vector): Vector => {
    const { shape, data } = parameters[`${name}.weight`]!;
    const [outs, ins] = shape as [number, number];
    if (ins !== vector.length) throw new Error(`${name} takes ${ins} numbers but got ${vector.length}`);
    return Array.from({ length: outs }, (_, o) => {
      const row = Array.from({ length: ins }, (_, i) => data[o * ins + i]!);
      return dot(row, vector) + parameters[`${name}.bias`]!.data[o]!;
    });
  };

  const embeddingOf = (t: number, label: number): Vector => {
    const waves = Array.from({ length: 256 }, (_, i) => {
      const angle = t * 10_000 ** (-(i % 128) / 128);
      return i < 128 ? Math.cos(angle) : Math.sin(angle);
    });
    const time = linear("t_embedder.mlp.2", linear("t_embedder.mlp.0", waves).map(silu));
    const table = parameters["y_embedder.embedding_table.weight"]!.data;
    return time.map((value, i) => value + table[label * width + i]!);
  };

  /** What is added to the token at a place. */
  const placeOf = (row: number, column: number): Vector =>
    Array.from({ length: width }, (_, k) => {
      const quarter = width / 4;
      const angle = (Math.floor(k / quarter) % 2 === 0 ? row : column) * 10_000 ** (-(k % quarter) / quarter);
      return k < width / 2 ? Math.sin(angle) : Math.cos(angle);
    });

  /** A head's query or key, turned in each of the planes (i, i + head / 2). */
  const turned = (vector: Vector, row: number, column: number): Vector => {
    const result = [...vector];
    for (let i = 0; i < head / 2; i++) {
      const angle = (i < head / 4 ? row : column) * 100 ** (-(i % (head / 4)) / (head / 4));
      const [a, b] = [vector[i]!, vector[i + head / 2]!];
      result[i] = a * Math.cos(angle) - b * Math.sin(angle);
      result[i + head / 2] = a * Math.sin(angle) + b * Math.cos(angle);
    }
    return result;
  };

  const block = (name: string, tokens: readonly Vector[], emb: Vector): Vector[] => {
    const numbers = linear(`${name}.adaLN_modulation.1`, emb.map(silu));
    const part = (i: number): Vector => numbers.slice(i * width, (i + 1) * width);
    const modulated = (token: Vector, shift: Vector, scale: Vector): Vector =>
      normalized(token).map((value, i) => (1 + scale[i]!) * value + shift[i]!);

    const projected = tokens.map((token) => linear(`${name}.attn.qkv`, modulated(token, part(0), part(1))));
    const ofHead = (token: number, which: number, h: number): Vector =>
      projected[token]!.slice(which * width + h * head, which * width + (h + 1) * head);
    const scaled = (vector: Vector, norm: string): Vector =>
      normalized(vector).map((value, i) => value * parameters[`${name}.attn.${norm}.weight`]!.data[i]!);
    const placed = (token: number, which: number, h: number): Vector =>
      turned(
        scaled(ofHead(token, which, h), which === 0 ? "q_norm" : "k_norm"),
        Math.floor(token / columns),
        token % columns,
      );
    const attended = tokens.map((token, i) => {
      const mixed = Array.from({ length: numHeads }, (_, h) => {
        const products = tokens.map((_, j) => Math.exp(dot(placed(i, 0, h), placed(j, 1, h)) / Math.sqrt(head)));
        const sum = products.reduce((total, value) => total + value, 0);
        return products.map((value, j) => times(ofHead(j, 2, h), value / sum)).reduce(plus);
      }).flat();
      const answer = linear(`${name}.attn.proj`, mixed);
      return token.map((value, k) => value + part(2)[k]! * answer[k]!);
    });

    return attended.map((token) => {
      const both = linear(`${name}.mlp.w12`, modulated(token, part(3), part(4)));
      const inner = both.length / 2;
      const answer = linear(
        `${name}.mlp.w3`,
        Array.from({ length: inner }, (_, i) => silu(both[i]!) * both[inner + i]!),
      );
      return token.map((value, k) => value + part(5)[k]! * answer[k]!);
    });
  };

  const pixel = (n: number, c: number, row: number, column: number, channels: number): number =>
    ((n * channels + c) * height + row) * columnsOfPixels + column;
  const out = new Array<number>(timesteps.length * outChannels * height * columnsOfPixels).fill(Number.NaN);
  for (const [n, t] of timesteps.entries()) {
    const emb = embeddingOf(t, labels[n]!);
    let tokens: Vector[] = Array.from({ length: rows * columns }, (_, token) => {
      const [row, column] = [Math.floor(token / columns), token % columns];
      const patch: Vector = [];
      for (let c = 0; c < inChannels; c++)
        for (let dy = 0; dy < p; dy++)
          for (let dx = 0; dx < p; dx++) patch.push(x.data[pixel(n, c, row * p + dy, column * p + dx, inChannels)]!);
      return plus(linear("x_embedder.proj", patch), placeOf(row, column));
    });
    for (let i = 0; i < depth; i++) tokens = block(`blocks.${i}`, tokens, emb);
    const last = linear("final_layer.adaLN_modulation.1", emb.map(silu));
    for (const [token, numbers] of tokens.entries()) {
      const shown = normalized(numbers).map((value, i) => (1 + last[width + i]!) * value + last[i]!);
      const patch = linear("final_layer.linear", shown);
      const [row, column] = [Math.floor(token / columns), token % columns];
      let at = 0;
      for (let c = 0; c < outChannels; c++)
        for (let dy = 0; dy < p; dy++)
          for (let dx = 0; dx < p; dx++) out[pixel(n, c, row * p + dy, column * p + dx, outChannels)] = patch[at++]!;
    }
  }
  return out;
}
