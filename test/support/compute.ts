import { expect } from "vitest";
import { isArray, type NDArray, type Shape, sizeOf, type Tree } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import {
  flatten,
  type Graph,
  type Spec,
  type SpecsOf,
  specsOf,
  type TensorsOf,
  trace,
  type ValuesOf,
} from "../../src/tensor/trace.ts";
import { evaluate } from "./interpreter.ts";

type Numbers = { readonly shape: Shape; readonly data: ArrayLike<number> };

/** Traces a function of the given values; computes it in float64 by the interpreter, or in float32 by a backend. */
export async function compute<V extends Tree<NDArray>, O extends Tree<Tensor>>(
  values: V,
  fn: (inputs: TensorsOf<SpecsOf<V>>) => O,
  backend?: Backend,
): Promise<Record<string, Numbers>> {
  const graph = trace(specsOf(values), fn as (inputs: unknown) => O) as Graph;
  if (!backend) {
    const leaves = flatten<NDArray>(values, isArray) as Map<string, NDArray<"float32" | "int32">>;
    return evaluate(Object.fromEntries(graph.outputs), Object.fromEntries(leaves));
  }
  await using program = await compile(graph, backend);
  return (await program.run(values as ValuesOf<Tree<Spec>>)) as Record<string, NDArray<"float32">>;
}

/**
 * Expects every image (first axis) within `tolerance` of the expected one, relative to its largest magnitude or to `scale` (one for
 * all or one for each), whichever is larger. Actual values may be one per image.
 */
export function expectClose(
  actual: Numbers,
  expected: Numbers,
  tolerance: number,
  what: string,
  scale: number | readonly number[] = 0,
): void {
  const repeat = sizeOf(expected.shape) / sizeOf(actual.shape);
  expect(Number.isInteger(repeat), `${what}: [${actual.shape}] against [${expected.shape}]`).toBe(true);
  const size = sizeOf(expected.shape) / expected.shape[0]!;
  for (let n = 0; n < expected.shape[0]!; n++) {
    let [largest, worst] = [typeof scale === "number" ? scale : scale[n]!, 0];
    for (let i = n * size; i < (n + 1) * size; i++) {
      largest = Math.max(largest, Math.abs(expected.data[i]!));
      worst = Math.max(worst, Math.abs(actual.data[Math.floor(i / repeat)]! - expected.data[i]!));
    }
    expect.soft(worst, `${what}, image ${n} of scale ${largest}`).toBeLessThanOrEqual(tolerance * largest);
  }
}
