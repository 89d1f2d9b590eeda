import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { where } from "../../src/tensor/functions.ts";
import { gradients, topological } from "../../src/tensor/gradient.ts";
import { full, type Tensor } from "../../src/tensor/tensor.ts";
import { f32, input } from "../../src/tensor/trace.ts";
import { allCases, compositeCases, differentiate, leavesOf, operatorCases, weighted } from "../support/cases.ts";
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

/** Expects the tensors to be the derivatives of the scalar `f` by the inputs of their names. */
function expectDerivatives(derivatives: Readonly<Record<string, Tensor>>, f: Tensor, inputs: Inputs): void {
  const symbolic = evaluate(derivatives, inputs);
  const numeric = differences(f, inputs, Object.keys(derivatives));
  // Constants of a graph are float32: 6e-8 of relative error is theirs.
  for (const [name, { data }] of Object.entries(symbolic))
    expect(distance(data, numeric[name]!), `by ${name}`).toBeLessThan(1e-6);
}

describe("every operator's cases", () => {
  test.each(Object.entries(operatorCases))("of %s apply it", (op, cases) => {
    for (const { f, inputs } of cases)
      expect(topological([f(leavesOf(inputs))]).map(({ node }) => String(node.op))).toContain(op);
  });
});

describe("vector-Jacobian products equal central differences", () => {
  test.each(allCases)("$name", (kase) => {
    const leaves = leavesOf(kase.inputs);
    const { output, cotangent, first } = differentiate(kase, leaves);
    expectDerivatives(first, output.mul(cotangent).sum(), kase.inputs);
  });
});

describe("gradients of gradients equal central differences", () => {
  test.each(allCases)("$name", (kase) => {
    const { scalarOfFirst, second } = differentiate(kase, leavesOf(kase.inputs));
    expectDerivatives(second, scalarOfFirst, kase.inputs);
  });
});

test("the third derivative of a composition too", () => {
  const { f, inputs } = compositeCases[0]!;
  const leaves = leavesOf(inputs);
  const x = leaves.x as Tensor;
  const first = gradients(weighted(f(leaves), 1), { x }).x;
  const second = weighted(gradients(weighted(first, 2), { x }).x, 3);
  expectDerivatives(gradients(second, { x }), second, inputs);
});

describe("gradients", () => {
  const x = input("x", f32(2, 3));
  const y = input("y", f32(2, 3));
  const at = { x: { shape: [2, 3], data: [1, -2, 3, -4, 5, -6] }, y: { shape: [2, 3], data: [1, 1, 2, 2, 3, 3] } };

  test("are zero through stopGradient, comparisons, places and casts", () => {
    const compared = x.less(y).cast("float32").add(x.greater(y).cast("float32")).add(x.equal(y).cast("float32"));
    const places = x.argmax(0).cast("float32");
    const f = x.stopGradient().mul(y).add(compared).add(places).add(x.cast("int32").cast("float32")).sum();
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

  test("of powers: flat where the exponent is 0, and by the exponent where the base is", () => {
    const [base, exponent] = [input("x", f32(4)), input("y", f32(4))];
    const values = { x: { shape: [4], data: [0, -2, 0, 3] }, y: { shape: [4], data: [0, 0, 2, 1] } };
    const { x, y } = evaluate(gradients(base.pow(exponent).sum(), { x: base, y: exponent }), values);
    expect([...x.data]).toEqual([0, 0, 0, 1]);
    expect([y.data[0], y.data[2]]).toEqual([0, 0]);
    expect(y.data[3]).toBeCloseTo(3 * Math.log(3), 12);
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
    const kase = compositeCases[1]!;
    const { output, first } = differentiate(kase, leavesOf(kase.inputs));
    const pull = (data: number[]) => evaluate(first, { ...kase.inputs, cotangent: { shape: output.shape, data } });
    const length = { minLength: output.size, maxLength: output.size };
    const vector = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), length);
    const factor = fc.double({ min: -3, max: 3, noNaN: true });
    fc.assert(
      fc.property(vector, vector, factor, (u, v, a) => {
        const [left, right, both] = [pull(u), pull(v), pull(u.map((x, i) => a * x + v[i]!))];
        for (const [name, { data }] of Object.entries(both))
          expect(
            distance(
              data,
              left[name]!.data.map((x, i) => a * x + right[name]!.data[i]!),
            ),
          ).toBeLessThan(1e-12);
      }),
      { numRuns: 30 },
    );
  });
});
