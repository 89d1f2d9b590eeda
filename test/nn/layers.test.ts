import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/errors.ts";
import { adaGN } from "../../src/nn/ada-gn.ts";
import { attentionBlock, attentionPool, headCount } from "../../src/nn/attention.ts";
import { groupCount, groupNorm } from "../../src/nn/group-norm.ts";
import { layerNorm } from "../../src/nn/layer-norm.ts";
import { embedding, gelu, silu } from "../../src/nn/layers.ts";
import { convDownsample, convUpsample, halve, resizeBilinear } from "../../src/nn/resample.ts";
import { timestepEmbedding } from "../../src/nn/timestep-embedding.ts";
import * as layers from "../../src/public/nn.ts";
import * as tensors from "../../src/public/tensor.ts";
import { input } from "../../src/tensor/trace.ts";
import { erf, evaluate } from "../support/interpreter.ts";
import { applied, compute, type Numbers, numbers, someParameters } from "./numbers.ts";

function expectClose(actual: Numbers, expected: ArrayLike<number>, digits = 10): void {
  expect(actual.data.length).toBe(expected.length);
  Array.from(expected).forEach((value, i) => {
    expect(actual.data[i]).toBeCloseTo(value, digits);
  });
}

/** GroupNorm without scale and shift, by its definition. */
function normalized({ shape: [n, c, h, w], data }: Numbers, groups: number): number[] {
  const length = (c! * h! * w!) / groups;
  return Array.from({ length: n! * groups }, (_, group) => {
    const values = Array.from(data).slice(group * length, (group + 1) * length);
    const mean = values.reduce((a, b) => a + b) / length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / length;
    return values.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
  }).flat();
}

describe("normalisation", () => {
  const h = numbers([2, 6, 2, 3]);
  const pixels = 6;
  const channelOf = (i: number) => Math.floor(i / pixels) % 6;
  const { weight, bias } = someParameters(groupNorm(6, 3)) as { weight: Numbers; bias: Numbers };

  test("GroupNorm normalises neighbouring channels, then scales and shifts each", () => {
    const expected = normalized(h, 3).map((value, i) => value * weight.data[channelOf(i)]! + bias.data[channelOf(i)]!);
    expectClose(applied(groupNorm(6, 3), { weight, bias }, [h]), expected);
  });

  test("AdaGN(h, y) = y_s GroupNorm(h) + y_b with y = [y_s - 1, y_b]", () => {
    const y = numbers([2, 12], 3);
    const expected = normalized(h, 3).map((value, i) => {
      const [image, c] = [Math.floor(i / (6 * pixels)), channelOf(i)];
      const ys = 1 + y.data[image * 12 + c]!;
      const yb = y.data[image * 12 + 6 + c]!;
      return ys * (value * weight.data[c]! + bias.data[c]!) + yb;
    });
    expectClose(applied(adaGN(6, 3), { weight, bias }, [h, y]), expected);
  });

  test("LayerNorm normalises the last axis, then scales and shifts each of its places", () => {
    const x = numbers([2, 3, 5]);
    const layer = layerNorm(5);
    const { weight, bias } = someParameters(layer) as { weight: Numbers; bias: Numbers };
    const rows = normalized({ shape: [6, 5, 1, 1], data: x.data }, 1);
    const expected = rows.map((value, i) => value * weight.data[i % 5]! + bias.data[i % 5]!);
    expectClose(applied(layer, { weight, bias }, [x]), expected);
    expect(() => applied(layer, { weight, bias }, [numbers([2, 4])])).toThrow(
      "layerNorm: x must be [..., 5] but is [2, 4]",
    );
  });

  test("the number of groups divides the channels", () => {
    expect([64, 48, 16, 20].map((channels) => groupCount(channels, 32))).toEqual([32, 16, 16, 4]);
  });

  test("another number of channels is an error that says so", () => {
    expect(() => applied(groupNorm(4), someParameters(groupNorm(4)), [h])).toThrow(
      "groupNorm: expects 4 channels but x is [2, 6, 2, 3]",
    );
  });
});

test("silu is x / (1 + exp(-x))", () => {
  const x = numbers([7]);
  expectClose(
    compute([x], silu),
    Array.from(x.data, (value) => value / (1 + Math.exp(-value))),
  );
});

test("gelu is x Phi(x); by tanh it is within 5e-4 of that", () => {
  const x = { shape: [41], data: Array.from({ length: 41 }, (_, i) => (i - 20) / 4) };
  const exact = x.data.map((value) => (value / 2) * (1 + erf(value / Math.SQRT2)));
  expectClose(compute([x], gelu), exact, 6); // its constants are float32
  const error = Array.from(compute([x], (x) => x.gelu("tanh")).data, (value, i) => Math.abs(value - exact[i]!));
  expect(Math.max(...error)).toBeLessThan(5e-4);
});

test("the chapters of operators and of layers share the name of the convolution alone", () => {
  expect(Object.keys(layers).filter((name) => name in tensors)).toEqual(["conv2d"]);
});

test("an embedding picks the labels' rows", () => {
  const parameters = someParameters(embedding(3, 2));
  const table = { weight: input("weight", { shape: [3, 2], dtype: "float32" }) };
  const labels = input("labels", { shape: [2], dtype: "int32" });
  const rows = evaluate(
    { rows: embedding(3, 2)(table, labels) },
    { ...parameters, labels: { shape: [2], data: [2, 0] } },
  ).rows.data;
  const { data } = parameters.weight!;
  expect(Array.from(rows)).toEqual([data[4], data[5], data[0], data[1]]);
});

test("timestep embedding: cosines, then sines, of t / 10000^(i / half); an odd width ends in zero", () => {
  const t = { shape: [2], data: [0, 250.5] };
  const row = (time: number) => {
    const angles = [0, 1, 2].map((i) => time * Math.fround(10000 ** (-i / 3)));
    return [...angles.map(Math.cos), ...angles.map(Math.sin), 0];
  };
  expectClose(
    compute([t], (time) => timestepEmbedding(time, 7)),
    [...row(0), ...row(250.5)],
    6,
  );
});

describe("attention", () => {
  const [channels, heads, width] = [4, 2, 2];
  const x = numbers([2, channels, 1, 3]);
  const at = ({ data }: Numbers, columns: number, row: number, column: number) => data[row * columns + column]!;

  /** Attention by its definition, with the row of the projection that holds part 0, 1, 2 (q, k, v) of channel c of a head. */
  function byDefinition(row: (part: number, head: number, c: number) => number): number[] {
    const block = attentionBlock(channels, heads);
    const p = someParameters(block) as Record<string, Numbers>;
    const norm = normalized(x, channels);
    return [0, 1].flatMap((image) => {
      const project = (part: number, head: number, c: number, pixel: number) => {
        const r = row(part, head, c);
        let sum = p["qkv.bias"]!.data[r]!;
        for (let i = 0; i < channels; i++) {
          const n = norm[(image * channels + i) * 3 + pixel]! * p["norm.weight"]!.data[i]! + p["norm.bias"]!.data[i]!;
          sum += at(p["qkv.weight"]!, channels, r, i) * n;
        }
        return sum;
      };
      const attended = Array.from({ length: channels }, (_, channel) => {
        const [head, c] = [Math.floor(channel / width), channel % width];
        return [0, 1, 2].map((query) => {
          const weights = [0, 1, 2].map((key) => {
            const dot = [0, 1].reduce((sum, d) => sum + project(0, head, d, query) * project(1, head, d, key), 0);
            return Math.exp(dot / Math.sqrt(width));
          });
          const total = weights.reduce((a, b) => a + b);
          return weights.reduce((sum, weight, key) => sum + (weight / total) * project(2, head, c, key), 0);
        });
      });
      return Array.from({ length: channels }, (_, c) =>
        [0, 1, 2].map((pixel) => {
          const mixed = attended.reduce(
            (sum, row, i) => sum + at(p["proj_out.weight"]!, channels, c, i) * row[pixel]!,
            0,
          );
          return x.data[(image * channels + c) * 3 + pixel]! + mixed + p["proj_out.bias"]!.data[c]!;
        }),
      ).flat();
    });
  }

  test.each([
    { newOrder: true, row: (part: number, head: number, c: number) => (part * heads + head) * width + c },
    { newOrder: false, row: (part: number, head: number, c: number) => (head * 3 + part) * width + c },
  ])("newOrder: $newOrder", ({ newOrder, row }) => {
    const block = attentionBlock(channels, heads, { newOrder });
    expectClose(applied(block, someParameters(block), [x]), byDefinition(row), 7); // its scale is a float32
  });

  test("pooling gives one vector per image", () => {
    const pool = attentionPool(2, 4, 2, 5);
    const { shape } = applied(pool, someParameters(pool), [numbers([3, 4, 2, 2])]);
    expect(shape).toEqual([3, 5]);
  });

  test("heads that do not divide the channels are an error", () => {
    expect(headCount(64, { heads: 4 })).toBe(4);
    expect(headCount(64, { heads: 4, headChannels: 32 })).toBe(2);
    expect(() => headCount(64, { heads: 3 })).toThrow(ModelError);
    expect(() => headCount(96, { headChannels: 64 })).toThrow("96 channels do not divide into heads of 64 channels");
  });
});

describe("resampling", () => {
  test("halving averages 2x2 blocks and leaves an odd last row and column out", () => {
    const x = { shape: [1, 1, 3, 5], data: [1, 2, 3, 4, 9, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9] };
    expect(compute([x], halve)).toEqual({ shape: [1, 1, 1, 2], data: new Float64Array([3.5, 5.5]) });
  });

  test("convolutions halve and double", () => {
    const x = numbers([1, 2, 5, 6]);
    expect(applied(convDownsample(2), someParameters(convDownsample(2)), [x]).shape).toEqual([1, 2, 3, 3]);
    expect(applied(convUpsample(2), someParameters(convUpsample(2)), [x]).shape).toEqual([1, 2, 10, 12]);
  });

  // By hand, from pixel centres at i + 1/2 and repeated edges, as PyTorch defines `align_corners=False`.
  test.each([
    { from: [0, 4], to: 4, expected: [0, 1, 3, 4] },
    { from: [0, 10, 20], to: 5, expected: [0, 4, 10, 16, 20] },
    { from: [1, 2, 5, 6], to: 2, expected: [1.5, 5.5] },
    { from: [7], to: 3, expected: [7, 7, 7] },
  ])("bilinear: $from to $to samples", ({ from, to, expected }) => {
    const row = { shape: [1, 1, 1, from.length], data: from };
    const column = { shape: [1, 1, from.length, 1], data: from };
    expectClose(
      compute([row], (x) => resizeBilinear(x, 1, to)),
      expected,
      5,
    );
    expectClose(
      compute([column], (x) => resizeBilinear(x, to, 1)),
      expected,
      5,
    );
  });
});
