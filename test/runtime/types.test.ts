import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import { bool, type DType, float32, float64, int32, int64 } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { concat, where } from "../../src/tensor/functions.ts";
import { scalar, type Tensor } from "../../src/tensor/tensor.ts";
import { b8, f32, f64, i32, i64, trace } from "../../src/tensor/trace.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const inputs = {
  float: float32([3], [-1.5, 0, 2.5]),
  double: float64([3], [1e-300, 2, 3]),
  short: int32([3], [-7, 0, 2 ** 31 - 1]),
  long: int64([3], [-(2n ** 62n), 3, 2n ** 62n]),
  flag: bool([3], [true, false, true]),
};
const specs = { float: f32(3), double: f64(3), short: i32(3), long: i64(3), flag: b8(3) };

test("values of every type go through a program and come out as they went in", async () => {
  const graph = trace(specs, (tensors) => tensors);
  await using program = await compile(graph, backend);
  const result = await program.run(inputs);
  expect(result).toEqual(inputs);
  // What the types promise, at run time.
  const arrays: [Float32Array, Float64Array, Int32Array, BigInt64Array, Uint8Array] = [
    result.float.data,
    result.double.data,
    result.short.data,
    result.long.data,
    result.flag.data,
  ];
  expect(arrays.map((array) => array.constructor)).toEqual([
    Float32Array,
    Float64Array,
    Int32Array,
    BigInt64Array,
    Uint8Array,
  ]);
});

test("they may be fixed, and state", async () => {
  const graph = trace(specs, ({ float, double, short, long, flag }) => ({
    float: float.add(1),
    double: double.mul(2),
    short: short.sub(1),
    long: long.add(1),
    flag: flag.equal(short.less(0)),
    seen: long.add(2),
  }));
  const { float, double, ...state } = inputs;
  await using program = await compile(graph, backend, { bind: { float, double }, state });
  expect(await program.run({})).toEqual({
    float: float32([3], [-0.5, 1, 3.5]),
    double: float64([3], [2e-300, 4, 6]),
    seen: int64([3], [-(2n ** 62n) + 2n, 5, 2n ** 62n + 2n]),
  });
  expect(await program.readState()).toEqual({
    short: int32([3], [-8, -1, 2 ** 31 - 2]),
    long: int64([3], [-(2n ** 62n) + 1n, 4, 2n ** 62n + 1n]),
    flag: bool([3], [true, true, false]),
  });
});

describe("operators keep the type of their operands", () => {
  test("where whole numbers are computed with, exactly", async () => {
    const graph = trace(specs, ({ float, short, long, flag }) => ({
      place: float.argmax(),
      positive: float.greater(0),
      picked: short.gather(0, float.argmax(0, true)),
      sum: short.reshape(1, 3).add(scalar(-3, "int32")),
      quotient: short.div(2),
      largest: short.maximum(1),
      long: long.mul(2).sub(long),
      less: long.less(4),
      same: long.equal(3),
      chosen: where(flag, short, -1),
      joined: concat([long, long.slice(0, 0, 1)], 0),
    }));
    await using program = await compile(graph, backend);
    expect(await program.run(inputs)).toEqual({
      place: int32([], [2]),
      positive: bool([3], [0, 0, 1]),
      picked: int32([1], [2 ** 31 - 1]),
      sum: int32([1, 3], [-10, -3, 2 ** 31 - 4]),
      quotient: int32([3], [-3, 0, 2 ** 30 - 1]),
      largest: int32([3], [1, 1, 2 ** 31 - 1]),
      long: inputs.long,
      less: bool([3], [1, 1, 0]),
      same: bool([3], [0, 1, 0]),
      chosen: int32([3], [-7, -1, 2 ** 31 - 1]),
      joined: int64([4], [-(2n ** 62n), 3, 2n ** 62n, -(2n ** 62n)]),
    });
  });

  test("and in float64, where float32 would have lost the digits", async () => {
    const graph = trace(specs, ({ double }) => ({
      sum: double.add(1e-16),
      product: double.reshape(1, 3).matmul(double.reshape(3, 1)),
      rounded: double.cast("float32"),
    }));
    await using program = await compile(graph, backend);
    expect(await program.run(inputs)).toEqual({
      sum: float64([3], [1e-16, 2, 3]),
      product: float64([1, 1], [13]),
      rounded: float32([3], [0, 2, 3]),
    });
  });

  test.each<[DType, DType, readonly number[]]>([
    ["float32", "int32", [-1, 0, 2]],
    ["float32", "bool", [1, 0, 1]],
    ["float32", "float64", [-1.5, 0, 2.5]],
    ["bool", "int64", [1, 0, 1]],
    ["int32", "float32", [-7, 0, 2 ** 31]],
  ])("but for a cast: of %s to %s", async (from, to, expected) => {
    const input = Object.values(inputs).find(({ dtype }) => dtype === from)!;
    const graph = trace(specs, (tensors) => {
      const tensor = Object.values(tensors).find(({ dtype }) => dtype === from)!;
      return { result: tensor.cast(to) };
    });
    await using program = await compile(graph, backend);
    const { result } = await program.run(inputs);
    expect(result.dtype).toBe(to);
    expect(Array.from<number | bigint>(result.data).map(Number), `${input.data}`).toEqual(expected);
  });
});

describe("a number that is none of a tensor's type is refused", () => {
  test.each<[string, (label: Tensor<"int32">) => unknown]>([
    ["0.5 cannot become int32; cast the tensor first", (label) => label.mul(0.5)],
    ["NaN cannot become int64; cast the tensor first", () => scalar(Number.NaN, "int64")],
    ["a number cannot become bool; cast the tensor first", (label) => label.less(0).equal(1)],
  ])("%s", (message, make) => {
    trace({ label: i32(2) }, ({ label }) => {
      expect(() => make(label)).toThrow(new ShapeError(message));
      return { label };
    });
  });
});
