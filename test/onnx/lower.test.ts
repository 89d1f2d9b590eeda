import { describe, expect, test } from "vitest";
import { encoderUnet } from "../../src/models/adm/classifier.ts";
import { classifierPreset, denoiserPreset } from "../../src/models/adm/presets.ts";
import { unet } from "../../src/models/adm/unet.ts";
import { type Network, parameterShapes } from "../../src/nn/module.ts";
import { emit } from "../../src/onnx/emit.ts";
import { type LoweredGraph, lower } from "../../src/onnx/lower.ts";
import { identityOf } from "../../src/runtime/identity.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { full, type Tensor } from "../../src/tensor/tensor.ts";
import { f32, type Graph, i32, Spec, trace } from "../../src/tensor/trace.ts";
import { trainingGraph } from "../../src/training/step/graph.ts";
import { allCases, differentiate } from "../support/cases.ts";

const data = { imageShape: [1, 28, 28], classes: 10 } as const;
const images = f32(4, ...data.imageShape);
const denoise = unet(denoiserPreset("tiny", data));
const classify = encoderUnet(classifierPreset("tiny", data));
const specsOf = (network: Network) =>
  Object.fromEntries(Object.entries(parameterShapes(network)).map(([key, shape]) => [key, f32(...shape)]));

const forward = trace({ params: specsOf(denoise), x: images, t: f32(4), y: i32(4) }, ({ params, x, t, y }) => ({
  out: denoise(params, x, t, { label: y }),
}));
const slope = trace({ params: specsOf(classify), x: images, t: f32(4) }, ({ params, x, t }) =>
  gradients(classify(params, x, t).logSoftmax().max(-1).sum(), { x }),
);
const step = trainingGraph(
  parameterShapes(denoise),
  { x: images, t: f32(4), y: i32(4) },
  (params, { x, t, y }) => ({ objective: denoise(params, x, t, { label: y }).square().mean([1, 2, 3]) }),
  { microBatch: 2, maxGradientNorm: 1, powerEma: true },
);
const graphs: readonly (readonly [string, Graph])[] = [
  ["a UNet", forward],
  ["a classifier's gradient", slope],
  ["a training step in micro-batches", step],
];

/** All that a graph is, as text. */
const textOf = (graph: Graph): string =>
  [...identityOf(graph, new Map(), [])].map((part) => (typeof part === "string" ? part : part.join())).join("");

const operators = (graph: Graph): Set<string> => new Set(graph.nodes.map(({ node }) => node.op));

describe("a lowered graph, lowered again, is the same graph:", () => {
  test.each(graphs)("%s", (_, graph) => {
    const once = lower(graph);
    expect(textOf(once)).not.toBe(textOf(graph));
    expect(textOf(lower(once))).toBe(textOf(once));
  });

  test.each(allCases)("$name, with its first and second derivatives", (kase) => {
    const specs = Object.fromEntries(
      Object.entries(kase.inputs).map(([name, { dtype, shape }]) => [name, new Spec(dtype, shape)]),
    );
    const once = lower(trace(specs, (leaves) => differentiate(kase, leaves)));
    expect(textOf(lower(once))).toBe(textOf(once));
  });
});

test("has no operator that ONNX lacks", () => {
  const lacking = ["conv2dWeightGradient", "silu", "groupNorm"];
  expect([...operators(step)]).toEqual(expect.arrayContaining(lacking));
  for (const [, graph] of graphs) for (const op of lacking) expect(operators(lower(graph))).not.toContain(op);
});

test("only a lowered graph can be emitted", () => {
  const graph = trace({ x: f32(2) }, ({ x }) => ({ y: x.silu() }));
  // @ts-expect-error: it is not lowered
  expect(() => emit(graph)).toThrow();
  const lowered: LoweredGraph = lower(graph);
  expect(emit(lowered).bytes.length).toBeGreaterThan(0);
});

test("products with numbers are folded, moves that cancel and expansions dropped, parts side by side joined", () => {
  const lowered = (f: (x: Tensor) => Tensor): string =>
    lower(trace({ x: f32(2, 3) }, ({ x }) => ({ y: f(x) })))
      .nodes.map(({ node }) => node.op)
      .join();
  expect(lowered((x) => x.mul(3).mul(0.5).mul(2))).toBe("input,constant,mul");
  expect(lowered((x) => x.permute(1, 0).permute(1, 0).neg())).toBe("input,neg");
  expect(lowered((x) => x.sub(full([2, 3], 2)))).toBe("input,constant,sub");
  const parts = lowered((x) =>
    x
      .slice(1, 0, 1)
      .pad([0, 0], [0, 2])
      .add(x.slice(1, 1, 3).pad([0, 1], [0, 0])),
  );
  expect(parts).toContain("concat");
  expect(parts).not.toContain("add");
});
