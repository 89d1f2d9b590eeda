import { expect } from "vitest";
import { type NDArray, type Shape, sizeOf, type Tree } from "../../src/ndarray.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { flatten, mapTree, Spec, type TensorsOf, trace } from "../../src/tensor/trace.ts";
import { evaluate, type Given, type Value } from "./interpreter.ts";

type SpecsOf<V> = V extends NDArray ? Spec : { readonly [K in keyof V]: SpecsOf<V[K]> };

const isArray = (value: NDArray | Tree<NDArray>): value is NDArray => "data" in value;

/** Traces a function of the given values and evaluates it in float64. */
export function compute<const V extends Tree<NDArray>, K extends string>(
  values: V,
  fn: (inputs: TensorsOf<SpecsOf<V>>) => Record<K, Tensor>,
): Record<K, Value> {
  const specs = mapTree<NDArray, Spec>(values, isArray, (_, { dtype, shape }) => new Spec(dtype, shape));
  const graph = trace(specs, fn as (inputs: unknown) => Record<string, Tensor>);
  const given = [...flatten<NDArray>(values, isArray)].map(([name, { shape, data }]) => [
    name,
    { shape, data: Array.from<number | bigint, number>(data, Number) },
  ]);
  return evaluate(Object.fromEntries(graph.outputs), Object.fromEntries(given) as Record<string, Given>) as Record<
    K,
    Value
  >;
}

/**
 * Every image (first axis) within `tolerance` of the expected one, relative to the image's largest magnitude or 1. A length of 1
 * in the actual shape stands for any.
 */
export function expectClose(
  actual: Value,
  expected: { shape: Shape; data: ArrayLike<number> },
  tolerance: number,
  what = "",
): void {
  const size = sizeOf(expected.shape) / expected.shape[0]!;
  const repeat = sizeOf(expected.shape) / actual.data.length;
  expect(Number.isInteger(repeat), `${what}: [${actual.shape}] against [${expected.shape}]`).toBe(true);
  for (let n = 0; n < expected.shape[0]!; n++) {
    let [scale, worst] = [1, 0];
    for (let i = n * size; i < (n + 1) * size; i++) {
      scale = Math.max(scale, Math.abs(expected.data[i]!));
      worst = Math.max(worst, Math.abs(actual.data[Math.floor(i / repeat)]! - expected.data[i]!));
    }
    expect(worst / scale, `${what}, image ${n}`).toBeLessThanOrEqual(tolerance);
  }
}
