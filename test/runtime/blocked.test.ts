import { afterAll, describe, expect, test } from "vitest";
import { float32, type Shape } from "../../src/ndarray.ts";
import { channelBlockOf } from "../../src/runtime/channel-block.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { conv2d } from "../../src/tensor/functions.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { f32, trace } from "../../src/tensor/trace.ts";
import { evaluate } from "../support/interpreter.ts";

const backend = await openBackend();
afterAll(() => backend[Symbol.asyncDispose]());

const wave = (shape: Shape, rate: number) =>
  float32(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * rate) / 2),
  );

/** Wide enough for the runtime's blocked layout, with inputs and outputs that differ, so that a mixed-up axis shows. */
describe.each([
  { kernel: 3, padding: 1, stride: 1 },
  { kernel: 3, padding: 1, stride: 2 },
  { kernel: 1, padding: 0, stride: 1 },
])("convolution in blocks of channels, kernel $kernel, stride $stride", ({ kernel, padding, stride }) => {
  test.each([
    [16, 32],
    [48, 16],
    [20, 16],
  ])("%i to %i channels: result and gradients", async (channels, out) => {
    const specs = { x: f32(2, channels, 6, 4), weight: f32(out, channels, kernel, kernel), bias: f32(out) };
    const graph = trace(specs, ({ x, weight, bias }) => {
      const y = conv2d(x, weight, bias, { padding, stride });
      return { y, ...gradients(y.square().mean(), { dx: x, dWeight: weight, dBias: bias }) };
    });
    const inputs = {
      x: wave([2, channels, 6, 4], 1.3),
      weight: wave([out, channels, kernel, kernel], 0.7),
      bias: wave([out], 2),
    };
    await using program = await compile(graph, backend);
    const got = await program.run(inputs);
    const expected = evaluate(Object.fromEntries(graph.outputs), inputs);
    for (const [name, { data }] of Object.entries(got)) {
      const largest = expected[name]!.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      data.forEach((value, i) => void expect(Math.abs(value - expected[name]!.data[i]!)).toBeLessThan(2e-5 * largest));
    }
  });
});

test("the probe finds a block that divides the usual channel counts", async () => {
  expect([1, 8, 16]).toContain(await channelBlockOf(backend));
});
