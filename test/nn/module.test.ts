import { describe, expect, expectTypeOf, test } from "vitest";
import { ModelError, ShapeError, UsageError } from "../../src/errors.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { conv2d, embedding, identity, linear, silu } from "../../src/nn/layers.ts";
import {
  adapt,
  countParameters,
  type Module,
  module,
  parameter,
  parameterShapes,
  zeroInit,
} from "../../src/nn/module.ts";
import { normals, uniforms } from "../../src/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { applied, leaves, numbers, someParameters } from "./numbers.ts";

const network = module(
  {
    stem: linear(3, 4),
    blocks: [[linear(4, 4), silu], [identity], [zeroInit(linear(4, 4))]],
    nested: { gain: parameter([4], { kind: "normal", std: 0.5 }) },
    absent: undefined,
  },
  ({ stem, blocks, nested, absent }, x: Tensor, scale?: Tensor) => {
    expectTypeOf(stem).toEqualTypeOf<(x: Tensor) => Tensor>();
    expectTypeOf(nested.gain).toEqualTypeOf<Tensor>();
    expectTypeOf(absent).toEqualTypeOf<undefined>();
    const h = stem(x);
    const branch = blocks[2][0](blocks[1][0](blocks[0][1](blocks[0][0](h))));
    return h.add(branch).mul(scale ? nested.gain.mul(scale) : nested.gain);
  },
);

describe("a module", () => {
  test("names its parameters after its children, in their order", () => {
    expect(Object.entries(parameterShapes(network))).toEqual([
      ["stem.weight", [4, 3]],
      ["stem.bias", [4]],
      ["blocks.0.0.weight", [4, 4]],
      ["blocks.0.0.bias", [4]],
      ["blocks.2.0.weight", [4, 4]],
      ["blocks.2.0.bias", [4]],
      ["nested.gain", [4]],
    ]);
    expect(countParameters(network)).toBe(12 + 4 + 16 + 4 + 16 + 4 + 4);
  });

  test("takes the inputs that its function takes", () => {
    expectTypeOf(network).toEqualTypeOf<Module<[x: Tensor, scale?: Tensor], Tensor>>();
    expectTypeOf(network.withParameters({})).toEqualTypeOf<(x: Tensor, scale?: Tensor) => Tensor>();
  });

  test("computes with the parameters of its record", () => {
    const [weight, bias] = [
      [1, 2, 3, 4, 5, 6],
      [10, 20],
    ];
    const { data } = applied(
      linear(3, 2),
      { weight: { shape: [2, 3], data: weight }, bias: { shape: [2], data: bias } },
      [{ shape: [1, 3], data: [1, 0, -1] }],
    );
    expect(Array.from(data)).toEqual([8, 18]);
  });

  test("names a missing parameter by its key", () => {
    const { "blocks.0.0.bias": _, ...rest } = someParameters(network);
    const { x } = leaves({ x: numbers([2, 3]) });
    expect(() => network(leaves(rest), x!)).toThrow(ModelError);
    expect(() => network(leaves(rest), x!)).toThrow('parameter "blocks.0.0.bias" [4] is missing from the 6 given');
  });

  test("names the innermost child where shapes do not fit", () => {
    const outer = module({ blocks: [network] }, ({ blocks }, x: Tensor) => blocks[0](x));
    const parameters = leaves(someParameters(outer));
    const { wrong, x } = leaves({ wrong: numbers([2, 5]), x: numbers([2, 3]) });
    expect(() => outer(parameters, wrong!)).toThrow(ShapeError);
    expect(() => outer(parameters, wrong!)).toThrow(/^matmul: .*; at blocks\.0\.stem$/);
    const { other } = leaves({ other: numbers([3, 4]) });
    expect(() => outer({ ...parameters, "blocks.0.blocks.2.0.weight": other! }, x!)).toThrow(
      'parameter "weight" must be [4, 4] but is [3, 4]; at blocks.0.blocks.2.0',
    );
  });

  test("can be given other inputs without other parameters", () => {
    const doubled = adapt(linear(3, 2), (f) => (x: Tensor) => f(x).mul(2));
    const parameters = someParameters(doubled);
    const x = numbers([4, 3], 0.5);
    const once = applied(linear(3, 2), parameters, [x]);
    expect(Array.from(applied(doubled, parameters, [x]).data)).toEqual(Array.from(once.data, (value) => 2 * value));
  });
});

describe("initialize", () => {
  const seed = 7;
  /** What U(-bound, bound) gives from a stream. */
  const uniform = (stream: number, count: number, bound: number): Float32Array =>
    Float32Array.from(uniforms(seed, stream, count), (u) => bound * (2 * u - 1));

  test("draws each parameter from a stream of its own, within 1/sqrt(fan-in)", () => {
    const values = initialize(network, seed);
    expect(Object.keys(values)).toEqual(Object.keys(parameterShapes(network)));
    expect(values["stem.weight"]!.data).toEqual(uniform(0, 12, 1 / Math.sqrt(3)));
    expect(values["stem.bias"]!.data).toEqual(uniform(1, 4, 1 / Math.sqrt(3)));
    expect(values["blocks.0.0.weight"]!.data).toEqual(uniform(2, 16, 0.5));
    const { data } = values["nested.gain"]!;
    expect(data).toEqual(normals(seed, 6, data.length).map((z) => 0.5 * z));
  });

  test("gives the same weights for the same seed, others for another, and refuses what is no seed", () => {
    expect(initialize(network, 1)).toEqual(initialize(network, 1));
    expect(initialize(network, 1)).not.toEqual(initialize(network, 2));
    expect(() => initialize(network, -1)).toThrow(UsageError);
  });

  test("starts zeroed layers at zero", () => {
    const values = initialize(network, seed);
    expect(values["blocks.2.0.weight"]!.data.every((value) => value === 0)).toBe(true);
    expect(values["blocks.2.0.bias"]!.data.every((value) => value === 0)).toBe(true);
  });

  test("counts the kernel in a convolution's fan-in; embeddings are standard normal", () => {
    const values = initialize(
      module({ conv: conv2d(4, 2, 3), table: embedding(3, 2) }, () => 0),
      seed,
    );
    expect(values["conv.bias"]!.data).toEqual(uniform(1, 2, 1 / Math.sqrt(4 * 9)));
    expect(values["table.weight"]!.data).toEqual(normals(seed, 2, 6));
  });
});
