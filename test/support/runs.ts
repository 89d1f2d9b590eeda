import { expect } from "vitest";
import type { NDArray, Tree } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { flatten, isTensor, Spec, trace } from "../../src/tensor/trace.ts";
import { type Case, differentiate, leavesOf } from "./cases.ts";
import { evaluate } from "./interpreter.ts";

const isArray = (value: NDArray | Tree<NDArray>): value is NDArray => "data" in value;

/** A case's value, its first and its second derivatives, by flat name: as a backend computes them in float32. */
export async function run(kase: Case, backend: Backend, bound: readonly string[] = []): Promise<Map<string, NDArray>> {
  const specs = Object.fromEntries(
    Object.entries(kase.inputs).map(([name, { dtype, shape }]) => [name, new Spec(dtype, shape)]),
  );
  const pick = (isBound: boolean) =>
    Object.fromEntries(Object.entries(kase.inputs).filter(([name]) => bound.includes(name) === isBound));
  await using program = await compile(
    trace(specs, (leaves) => differentiate(kase, leaves)),
    backend,
    { bind: pick(true) },
  );
  return flatten<NDArray>(await program.run(pick(false)), isArray);
}

/** The same in float64, from the interpreter. */
export const interpret = (kase: Case) =>
  evaluate(Object.fromEntries(flatten(differentiate(kase, leavesOf(kase.inputs)), isTensor)), kase.inputs);

/** Expects results to equal others to a tolerance that is relative to the larger of `scale` and their tensor's largest element. */
export function expectClose(
  actual: ReadonlyMap<string, NDArray>,
  expected: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number | bigint> }>>,
  { tolerance = 2e-5, scale = 1 } = {},
): void {
  expect([...actual.keys()].sort()).toEqual(Object.keys(expected).sort());
  for (const [name, { shape, data }] of Object.entries(expected)) {
    const array = actual.get(name)!;
    expect(array.shape, name).toEqual(shape);
    const [got, wanted] = [Array.from(array.data, Number), Array.from(data, Number)];
    const largest = wanted.reduce((top, x) => Math.max(top, Math.abs(x)), scale);
    const error = wanted.reduce((top, x, i) => Math.max(top, Math.abs(x - got[i]!)), 0) / largest;
    expect(error, `${name}: ${got.slice(0, 4)}... instead of ${wanted.slice(0, 4)}...`).toBeLessThan(tolerance);
  }
}
