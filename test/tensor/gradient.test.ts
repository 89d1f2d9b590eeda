import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { gradients, topological } from "../../src/tensor/gradient.ts";
import type { Op } from "../../src/tensor/ops.ts";
import { constant, full, scalar, type Tensor, where } from "../../src/tensor/tensor.ts";
import { allCases, type Case, compositeCases, leaf, normal, operatorCases } from "../support/cases.ts";
import { evaluate, type Given } from "../support/interpreter.ts";

type Inputs = Readonly<Record<string, Given>>;

/** Derivative of a scalar by every element of the named inputs, by central differences in float64. */
function differences(f: Tensor, inputs: Inputs, by: readonly string[]): Record<string, Float64Array> {
  const step = 1e-4;
  const value = (name: string, data: Float64Array): number =>
    evaluate({ f }, { ...inputs, [name]: { shape: inputs[name]!.shape, data } }).f.data[0]!;
  const derivative = (name: string): Float64Array =>
    Float64Array.from(inputs[name]!.data).map(
      (x, i, all) => (value(name, all.with(i, x + step)) - value(name, all.with(i, x - step))) / (2 * step),
    );
  return Object.fromEntries(by.map((name) => [name, derivative(name)]));
}

/** Largest absolute difference, relative to the larger of 1 and the largest element. */
function distance(actual: Float64Array, expected: Float64Array): number {
  const scale = expected.reduce((top, x) => Math.max(top, Math.abs(x)), 1);
  return expected.reduce((top, x, i) => Math.max(top, Math.abs(x - actual[i]!)), 0) / scale;
}

function expectDerivatives(f: Tensor, inputs: Inputs, leaves: Readonly<Record<string, Tensor>>): void {
  const by = Object.keys(leaves);
  const symbolic = evaluate(gradients(f, leaves), inputs);
  const numeric = differences(f, inputs, by);
  // Constants of a graph are float32: 6e-8 of relative error is theirs.
  for (const name of by) expect(distance(symbolic[name]!.data, numeric[name]!), `by ${name}`).toBeLessThan(1e-6);
}

/** Sum of the elements times fixed weights: a scalar that sees every element. */
const weighted = (tensor: Tensor, weights: Tensor): Tensor => tensor.mul(weights).sum();
const randomConstant = (tensor: Tensor, seed: number): Tensor =>
  constant(float32(tensor.shape, normals(seed, 0, tensor.size)));

/** The case's inputs and a random cotangent of its output as one more. */
function withCotangent({ inputs, leaves, by, output }: Case): {
  v: Tensor;
  inputs: Inputs;
  leaves: Record<string, Tensor>;
} {
  const cotangent = normal(...output.shape);
  return {
    v: leaf("cotangent", cotangent),
    inputs: { ...inputs, cotangent },
    leaves: Object.fromEntries(by.map((name) => [name, leaves[name]!])),
  };
}

describe("every operator's cases", () => {
  test.each(Object.entries(operatorCases))("of %s apply it", (op, cases) => {
    for (const { output } of cases) expect(topological([output]).map(({ node }) => node.op)).toContain(op as Op);
  });
});

describe("vector-Jacobian products equal central differences", () => {
  test.each(allCases)("$name", (kase) => {
    const { v, inputs, leaves } = withCotangent(kase);
    const symbolic = evaluate(gradients(kase.output, leaves, v), inputs);
    const numeric = differences(weighted(kase.output, v), inputs, kase.by);
    for (const name of kase.by) expect(distance(symbolic[name]!.data, numeric[name]!), `by ${name}`).toBeLessThan(1e-6);
  });
});

describe("gradients of gradients equal central differences", () => {
  test.each(allCases)("$name", (kase) => {
    const { v, inputs, leaves } = withCotangent(kase);
    const first = gradients(kase.output, leaves, v);
    const sum = Object.values(first).reduce((sum, g, i) => sum.add(weighted(g, randomConstant(g, 3 + i))), scalar(0));
    // A rule is linear in its cotangent, so differentiating by it checks the rule's own adjoint.
    expectDerivatives(sum, inputs, { ...leaves, cotangent: v });
  });
});

test("the third derivative of a composition too", () => {
  const { inputs, leaves, output } = compositeCases[0]!;
  const { x } = leaves as { x: Tensor };
  const first = gradients(weighted(output, randomConstant(output, 1)), { x }).x;
  const second = gradients(weighted(first, randomConstant(first, 2)), { x }).x;
  expectDerivatives(weighted(second, randomConstant(second, 3)), inputs, { x });
});

describe("gradients", () => {
  const x = leaf("x", { shape: [2, 3], dtype: "float32" });
  const y = leaf("y", { shape: [2, 3], dtype: "float32" });
  const at = { x: { shape: [2, 3], data: [1, -2, 3, -4, 5, -6] }, y: { shape: [2, 3], data: [1, 1, 2, 2, 3, 3] } };

  test("are zero through stopGradient, comparisons and casts", () => {
    const f = x.stopGradient().mul(y).add(x.less(y).cast("float32")).add(x.cast("int32").cast("float32")).sum();
    expect([...evaluate(gradients(f, { x }), at).x.data]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("are zero by a tensor that the output does not depend on", () => {
    const result = gradients(x.sum(), { y }).y;
    expect(result.shape).toEqual([2, 3]);
    expect([...evaluate({ result }, at).result.data]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("by the output itself are the cotangent", () => {
    expect(gradients(x, { x }, y).x).toBe(y);
  });

  test("are taken by intermediate tensors", () => {
    const middle = x.mul(3);
    expect([...evaluate(gradients(middle.mul(y).sum(), { middle }), at).middle.data]).toEqual([...at.y.data]);
  });

  test("keep the nesting of what they are taken by", () => {
    const f = x.mul(y).sum();
    const nested = gradients(f, { net: { block: { x } }, y });
    expect([...evaluate({ x: nested.net.block.x }, at).x.data]).toEqual([...at.y.data]);
    expect([...evaluate({ y: nested.y }, at).y.data]).toEqual([...at.x.data]);
  });

  test("build nothing for branches that do not lead to what they are taken by", () => {
    const big = y.matmul(y.transpose()).exp();
    const ops = topological([gradients(x.sum().add(big.sum()), { x }).x]).map(({ node }) => node.op);
    expect(ops).not.toContain("matmul");
  });

  test("add up over all uses", () => {
    const f = x.mul(x).mul(x).add(x).sum();
    expect([...evaluate(gradients(f, { x }), at).x.data]).toEqual(at.x.data.map((x) => 3 * x * x + 1));
  });

  test("stay finite where the branch that was not taken is not", () => {
    const f = where(x.less(0), 0, x.maximum(1e-3).log()).sum();
    expect([...evaluate(gradients(f, { x }), at).x.data]).toEqual(at.x.data.map((x) => (x < 0 ? 0 : 1 / x)));
  });

  test("of ties: max shares, maximum and minimum give all to the first", () => {
    const ones = { x: { shape: [2, 3], data: [7, 7, 7, 7, 7, 7] }, y: { shape: [2, 3], data: [7, 7, 7, 7, 7, 7] } };
    expect([...evaluate(gradients(x.max(1).sum(), { x }), ones).x.data]).toEqual(new Array(6).fill(1 / 3));
    for (const f of [x.maximum(y), x.minimum(y)]) {
      const { x: dx, y: dy } = evaluate(gradients(f.sum(), { x, y }), ones);
      expect([...dx.data, ...dy.data]).toEqual([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    }
  });

  test("inside the limits of clip pass, outside are zero", () => {
    expect([...evaluate(gradients(x.clip(-4.5, 2.5).sum(), { x }), at).x.data]).toEqual([1, 1, 0, 1, 0, 0]);
  });

  test("walk graphs that are deeper than the call stack", () => {
    let deep = x;
    for (let i = 0; i < 20_000; i++) deep = deep.add(y);
    expect([...evaluate(gradients(deep.sum(), { y }), at).y.data]).toEqual(new Array(6).fill(20_000));
  });

  test("refuse an output that is not a scalar, and a cotangent of another shape", () => {
    expect(() => gradients(x, { x })).toThrow(
      "gradients: output must be a scalar but is [2, 3]; sum it, or give a cotangent",
    );
    expect(() => gradients(x, { x }, full([3, 2], 1))).toThrow("gradients: cotangent is [3, 2] but output is [2, 3]");
  });

  test("are linear in the cotangent", () => {
    const { inputs, leaves, output } = compositeCases[1]!;
    const pull = (data: number[]) =>
      evaluate(gradients(output, leaves, leaf("v", { shape: output.shape, dtype: "float32" })), {
        ...inputs,
        v: { shape: output.shape, data },
      });
    const vector = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), {
      minLength: output.size,
      maxLength: output.size,
    });
    const factor = fc.double({ min: -3, max: 3, noNaN: true });
    fc.assert(
      fc.property(vector, vector, factor, (u, v, a) => {
        const [left, right, both] = [pull(u), pull(v), pull(u.map((x, i) => a * x + v[i]!))];
        for (const name of Object.keys(leaves)) {
          const expected = left[name]!.data.map((x, i) => a * x + right[name]!.data[i]!);
          expect(distance(both[name]!.data, expected)).toBeLessThan(1e-12);
        }
      }),
      { numRuns: 30 },
    );
  });
});
