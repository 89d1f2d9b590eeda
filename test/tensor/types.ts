/*
 * Compiled by the type check, never run, as test/types.ts is: element types from a graph's inputs to the values that its program gives.
 */
import { expectTypeOf } from "vitest";
import type { Tree } from "../../src/ndarray.ts";
import {
  type AnyTensor,
  type Backend,
  b8,
  compile,
  concat,
  f32,
  f64,
  gradients,
  i32,
  i64,
  type NDArray,
  oneHot,
  scalar,
  Tensor,
  trace,
  where,
} from "../../src/public/tensor.ts";
import { type Spec, type SpecsOf, specsOf } from "../../src/tensor/trace.ts";

declare const backend: Backend;
declare const x: Tensor;
declare const wide: Tensor<"float64">;
declare const label: Tensor<"int32">;
declare const count: Tensor<"int64">;
declare const condition: Tensor<"bool">;
declare const any: AnyTensor;

export async function programs(): Promise<void> {
  const specs = { x: f32(2), wide: f64(2), label: i32(2), nested: { count: i64(2), flag: b8(2) } };
  const graph = trace(specs, ({ x, wide, label, nested: { count, flag } }) => {
    expectTypeOf(x).toEqualTypeOf<Tensor>();
    expectTypeOf(x).toEqualTypeOf<Tensor<"float32">>();
    expectTypeOf(wide).toEqualTypeOf<Tensor<"float64">>();
    expectTypeOf(label).toEqualTypeOf<Tensor<"int32">>();
    expectTypeOf(count).toEqualTypeOf<Tensor<"int64">>();
    expectTypeOf(flag).toEqualTypeOf<Tensor<"bool">>();
    return {
      float: x.exp(),
      double: wide.add(1),
      next: label.add(1),
      of: { count, right: label.equal(3), chosen: where(flag, label, 0) },
    };
  });
  const program = await compile(graph, backend);
  const out = await program.run({} as Parameters<typeof program.run>[0]);
  expectTypeOf(out.float).toEqualTypeOf<NDArray<"float32">>();
  expectTypeOf(out.float.data).toEqualTypeOf<Float32Array>();
  expectTypeOf(out.double.data).toEqualTypeOf<Float64Array>();
  expectTypeOf(out.next.data).toEqualTypeOf<Int32Array>();
  expectTypeOf(out.of.count.data).toEqualTypeOf<BigInt64Array>();
  expectTypeOf(out.of.right.data).toEqualTypeOf<Uint8Array>();
  expectTypeOf(out.of.chosen).toEqualTypeOf<NDArray<"int32">>();
  expectTypeOf<Parameters<typeof program.run>[0]["nested"]["count"]>().toEqualTypeOf<NDArray<"int64">>();

  const state = await compile(
    trace({ step: i64(), x: f32() }, ({ step, x }) => ({ step: step.add(1), y: x })),
    backend,
    { state: { step: {} as NDArray<"int64"> } },
  );
  expectTypeOf((await state.readState()).step).toEqualTypeOf<NDArray<"int64">>();
  expectTypeOf(await state.run({ x: {} as NDArray<"float32"> })).toEqualTypeOf<{ readonly y: NDArray<"float32"> }>();
}

export function trees(): void {
  expectTypeOf(specsOf({ a: { label: {} as NDArray<"int32"> }, x: {} as NDArray<"float32"> })).toEqualTypeOf<{
    readonly a: { readonly label: Spec<"int32"> };
    readonly x: Spec<"float32">;
  }>();
  expectTypeOf<SpecsOf<Tree<NDArray>>>().toEqualTypeOf<Tree<Spec>>();
  expectTypeOf<SpecsOf<Record<string, NDArray<"float32">>>>().toEqualTypeOf<{
    readonly [name: string]: Spec<"float32">;
  }>();
  // biome-ignore lint/complexity/noBannedTypes: no values at all
  expectTypeOf<SpecsOf<{}>>().toEqualTypeOf<{}>();
}

export function operators(): void {
  expectTypeOf(x.less(0)).toEqualTypeOf<Tensor<"bool">>();
  expectTypeOf(label.equal(label)).toEqualTypeOf<Tensor<"bool">>();
  expectTypeOf(label.mul(2).sub(label).maximum(0).reshape(-1).slice(0, 0, 1)).toEqualTypeOf<Tensor<"int32">>();
  expectTypeOf(x.cast("int64")).toEqualTypeOf<Tensor<"int64">>();
  expectTypeOf(condition.cast("float32").mean()).toEqualTypeOf<Tensor>();
  expectTypeOf(wide.matmul(wide)).toEqualTypeOf<Tensor<"float64">>();
  expectTypeOf(concat([label, label], 0)).toEqualTypeOf<Tensor<"int32">>();
  expectTypeOf(oneHot(count, 3)).toEqualTypeOf<Tensor>();
  expectTypeOf(scalar(2)).toEqualTypeOf<Tensor>();
  expectTypeOf(scalar(2, "int64")).toEqualTypeOf<Tensor<"int64">>();
  expectTypeOf(where(condition, 1, 0)).toEqualTypeOf<Tensor>();
  expectTypeOf(where(condition, 0, label)).toEqualTypeOf<Tensor<"int32">>();
  expectTypeOf(where(condition, {} as Tensor | number, {} as Tensor | number)).toEqualTypeOf<Tensor>();
  expectTypeOf(any.reshape(-1)).toEqualTypeOf<AnyTensor>();
  expectTypeOf(gradients(x.sum(), { x, deep: { x } })).toEqualTypeOf<{
    readonly x: Tensor;
    readonly deep: { readonly x: Tensor };
  }>();

  // @ts-expect-error: of two types
  x.add(label);
  // @ts-expect-error: of two types
  wide.matmul(x);
  // @ts-expect-error: of two types
  where(condition, x, label);
  // @ts-expect-error: of two types
  where(condition, label, x);
  // @ts-expect-error: a condition is bool
  where(x, 1, 0);
  // @ts-expect-error: no arithmetic with truth values
  condition.add(1);
  // @ts-expect-error: no order of truth values
  condition.less(condition);
  // @ts-expect-error: float32 only
  label.exp();
  // @ts-expect-error: float32 only
  wide.softmax();
  // @ts-expect-error: float32 only
  label.mean();
  // @ts-expect-error: matrices are of floats
  label.matmul(label);
  // @ts-expect-error: labels are whole numbers
  oneHot(x, 3);
  // @ts-expect-error: truth values come of comparisons
  scalar(1, "bool");
  // @ts-expect-error: gradients flow through float32 alone
  gradients(label, { x });
  // @ts-expect-error: gradients flow through float32 alone
  gradients(x.sum(), { label });
  // @ts-expect-error: no such type
  x.cast("float16");
}

/** A tensor goes where one of its type or a wider one is asked for, and nowhere else. */
export function variance(): void {
  const network = (_x: Tensor, _labels?: Tensor<"int32" | "int64">): Tensor => x;
  const rank = (tensor: AnyTensor): number => tensor.rank;
  network(x);
  network(x.mul(2), label);
  network(x, count);
  for (const tensor of [x, wide, label, count, condition, any]) rank(tensor);
  const narrower: (x: Tensor, labels?: Tensor<"int32">) => AnyTensor = network;
  narrower(x, label);
  // @ts-expect-error: int32 is no float32
  network(label);
  // @ts-expect-error: labels are whole numbers
  network(x, x);
  // @ts-expect-error: of an unknown type
  network(any);
  // @ts-expect-error: it would be given int32 alone, and take it for float32
  const wrong: (labels: Tensor<"int32">) => Tensor = (labels: Tensor) => labels;
  wrong(label);
  if (any instanceof Tensor) rank(any);
}
