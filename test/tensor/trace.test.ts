import { describe, expect, test } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import { float32, int32 } from "../../src/ndarray.ts";
import { conv2d } from "../../src/tensor/functions.ts";
import { gradients, topological } from "../../src/tensor/gradient.ts";
import { type AnyTensor, constant, type Tensor } from "../../src/tensor/tensor.ts";
import { checkValue, f32, format, type Graph, i32, input, rewrite, trace } from "../../src/tensor/trace.ts";
import { evaluate } from "../support/interpreter.ts";

const perceptron = (): Graph =>
  trace({ x: f32(8, 4), params: { w: f32(4, 2), b: f32(2) }, label: i32(8) }, ({ x, params: { w, b } }) => {
    const loss = x.matmul(w).add(b).tanh().square().mean();
    return { loss, gradient: gradients(loss, { w, b }) };
  });

const ops = (graph: Graph): string[] => graph.nodes.map(({ node }) => node.op);

describe("format", () => {
  test("prints a graph as readable text", () => {
    expect(format(perceptron())).toMatchInlineSnapshot(`
      "graph(x: float32[8, 4], params/w: float32[4, 2], params/b: float32[2], label: int32[8])
        %0 = matmul(x, params/w) : float32[8, 2]
        %1 = add(%0, params/b) : float32[8, 2]
        %2 = tanh(%1) : float32[8, 2]
        %3 = mul(%2, %2) : float32[8, 2]
        %4 = sum(%3, axes=[0, 1]) : float32[1, 1]
        %5 = reshape(%4, shape=[]) : float32[]
        %6 = mul(%5, 0.0625) : float32[]
        %7 = permute(x, axes=[1, 0]) : float32[4, 8]
        %8 = mul(1, 0.0625) : float32[]
        %9 = reshape(%8, shape=[1, 1]) : float32[1, 1]
        %10 = expand(%9, shape=[8, 2]) : float32[8, 2]
        %11 = mul(%10, %2) : float32[8, 2]
        %12 = add(%11, %11) : float32[8, 2]
        %13 = sub(1, %3) : float32[8, 2]
        %14 = mul(%12, %13) : float32[8, 2]
        %15 = matmul(%7, %14) : float32[4, 2]
        %16 = sum(%14, axes=[0]) : float32[1, 2]
        %17 = reshape(%16, shape=[2]) : float32[2]
        return loss = %6, gradient/w = %15, gradient/b = %17"
    `);
  });

  test("prints attributes and constants", () => {
    const graph = trace({ x: f32(1, 2, 4, 4), w: f32(3, 2, 3, 3) }, ({ x, w }) => ({
      y: conv2d(x, w, undefined, { stride: 2, padding: 1 })
        .mul(constant(float32([3, 1, 1], [1, 2, 3])))
        .permute(0, 2, 3, 1)
        .normalize(1e-5)
        .less(0.1),
    }));
    expect(format(graph)).toMatchInlineSnapshot(`
      "graph(x: float32[1, 2, 4, 4], w: float32[3, 2, 3, 3])
        %0 = conv2d(x, w, stride=2, padding=1) : float32[1, 3, 2, 2]
        %1 = mul(%0, constant float32[3, 1, 1]) : float32[1, 3, 2, 2]
        %2 = permute(%1, axes=[0, 2, 3, 1]) : float32[1, 2, 2, 3]
        %3 = normalize(%2, epsilon=0.00001) : float32[1, 2, 2, 3]
        %4 = less(%3, 0.1) : bool[1, 2, 2, 3]
        return y = %4"
    `);
  });

  test("is the same for two traces of one function", () => {
    expect(format(perceptron())).toBe(format(perceptron()));
  });
});

describe("trace", () => {
  test("names inputs and outputs by their path in the trees, in the order given", () => {
    const graph = perceptron();
    expect([...graph.inputs.keys()]).toEqual(["x", "params/w", "params/b", "label"]);
    expect([...graph.outputs.keys()]).toEqual(["loss", "gradient/w", "gradient/b"]);
  });

  test("gives the inputs their types", () => {
    const { inputs } = perceptron();
    expect(inputs.get("x")).toMatchObject({ dtype: "float32", shape: [8, 4] });
    expect(inputs.get("label")).toMatchObject({ dtype: "int32", shape: [8] });
  });

  test("is typed: an input that was not declared, or an operand that is not a tensor, does not compile", () => {
    // @ts-expect-error there is no input z
    expect(() => trace({ x: f32(2) }, ({ x, z }) => ({ y: x.add(z) }))).toThrow();
    // @ts-expect-error a string is no operand
    expect(() => trace({ x: f32(2) }, ({ x }) => ({ y: x.add("1") }))).toThrow();
  });

  test("lists every tensor after those that it is made of", () => {
    const seen = new Set<AnyTensor>();
    for (const tensor of perceptron().nodes) {
      for (const operand of tensor.node.inputs) expect(seen.has(operand)).toBe(true);
      seen.add(tensor);
    }
  });

  test("throws the error of the first operator that does not fit", () => {
    expect(() => trace({ x: f32(2, 3), w: f32(4, 2) }, ({ x, w }) => ({ y: x.matmul(w) }))).toThrow(
      new ShapeError("matmul: [2, 3] and [4, 2] do not multiply: takes [..., M, K] and [..., K, N]"),
    );
  });
});

describe("equal sub-expressions are one", () => {
  test("with all that is made of them", () => {
    const graph = trace({ x: f32(2) }, ({ x }) => ({
      a: x.mul(2).exp().sum(),
      b: x.mul(2).exp().sum(),
      c: x.mul(3).exp().sum(),
    }));
    expect(graph.outputs.get("a")).toBe(graph.outputs.get("b"));
    expect(graph.outputs.get("a")).not.toBe(graph.outputs.get("c"));
    expect(ops(graph).filter((op) => op === "exp")).toHaveLength(2);
  });

  test("also between a function and its gradient", () => {
    const graph = trace({ x: f32(2) }, ({ x }) => ({ y: x.exp().sum(), dx: gradients(x.exp().sum(), { x }).x }));
    expect(ops(graph).filter((op) => op === "exp")).toHaveLength(1);
  });

  test("only where operator, operands, attributes and order agree", () => {
    const graph = trace({ x: f32(2, 2), y: f32(2, 2) }, ({ x, y }) => ({
      a: x.sub(y),
      b: y.sub(x),
      c: x.sum(0),
      d: x.sum(1),
      e: x.normalize(1e-5),
      f: x.normalize(1e-6),
    }));
    expect(new Set(graph.outputs.values()).size).toBe(6);
  });

  test("only where constants agree in value, type and shape, be they small or large, in one buffer or in two", () => {
    const buffer = Float32Array.from({ length: 32 }, (_, i) => i);
    const graph = trace({ x: f32(4, 8) }, ({ x }) => ({
      rows: x.mul(constant(float32([4, 8], buffer))),
      again: x.mul(constant(float32([4, 8], buffer))),
      wide: x.mul(constant(float32([1, 4, 8], buffer))),
      number: x.mul(constant(int32([], [2])).cast("float32")),
      two: x.mul(2),
    }));
    const { rows, again, wide, number, two } = Object.fromEntries(graph.outputs);
    expect(again).toBe(rows);
    expect([rows!.shape, wide!.shape]).toEqual([
      [4, 8],
      [1, 4, 8],
    ]);
    expect(number).not.toBe(two);
    const x = { shape: [4, 8], data: buffer };
    expect([...evaluate({ wide: wide! }, { x }).wide.data]).toEqual(Array.from(buffer, (value) => value * value));
  });
});

describe("rewrite", () => {
  test("replaces operators everywhere, keeps values and names", () => {
    const graph = perceptron();
    const rewritten = rewrite(graph, (tensor) => {
      const [a, b] = tensor.node.inputs as readonly Tensor[];
      return tensor.node.op === "sub" ? a!.add(b!.neg()) : tensor;
    });
    expect(ops(graph)).toContain("sub");
    expect(ops(rewritten)).not.toContain("sub");
    const value = (shape: number[], seed: number) => ({
      shape,
      data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + seed)),
    });
    const inputs = { x: value([8, 4], 1), "params/w": value([4, 2], 2), "params/b": value([2], 3) };
    expect(evaluate(Object.fromEntries(rewritten.outputs), inputs)).toEqual(
      evaluate(Object.fromEntries(graph.outputs), inputs),
    );
  });
});

describe("checkValue", () => {
  test("says what was expected and what came", () => {
    const spec = f32(2, 3);
    expect(() => checkValue("x", spec, undefined)).toThrow('input "x" is missing: expected float32 [2, 3]');
    expect(() => checkValue("x", spec, float32([3, 2]))).toThrow(
      'input "x" must be float32 [2, 3] but is float32 [3, 2]',
    );
    expect(() => checkValue("x", spec, int32([2, 3]))).toThrow('input "x" must be float32 [2, 3] but is int32 [2, 3]');
    expect(() => checkValue("x", spec, float32([2, 3]))).not.toThrow();
  });
});

test("a tensor appears once in topological order, after its operands, whatever the roots", () => {
  const x = input("x", f32(2));
  const y = x.exp();
  const z = y.mul(y).add(x);
  expect(topological([y, z, x, z])).toEqual([x, y, z.node.inputs[0], z]);
});
