import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import { readTorch } from "../src/formats/torch.ts";
import { encoderUnet } from "../src/models/adm/classifier.ts";
import { configFromGuidedDiffusion, type GuidedDiffusionConfig } from "../src/models/adm/guided-diffusion.ts";
import { unet } from "../src/models/adm/unet.ts";
import { float32, int32, type NDArray } from "../src/ndarray.ts";
import { type Network, parameterShapes } from "../src/nn/module.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import { oneHot } from "../src/tensor/functions.ts";
import { gradients } from "../src/tensor/gradient.ts";
import { Spec, trace } from "../src/tensor/trace.ts";

const data = new URL("./data/", import.meta.url);
const references: Record<string, GuidedDiffusionConfig> = JSON.parse(
  readFileSync(new URL("networks.json", data), "utf8"),
);

/** A network of the reference: our configuration of it, its weights, its inputs, and what it computed. */
function load(name: string) {
  const arrays = readNpz(readFileSync(new URL(`${name}.npz`, data)));
  const floats = (key: string) => {
    const { shape, data } = arrayOf(arrays, key, "float32");
    return float32(shape, data);
  };
  const integers = (key: string) => arrayOf(arrays, key, "int64");
  const [t, y] = [integers("t"), integers("y")];
  return {
    ...configFromGuidedDiffusion(references[name]!),
    parameters: readTorch(readFileSync(new URL(`${name}.pt`, data))),
    inputs: {
      x: floats("x"),
      t: float32(t.shape, Array.from(t.data, Number)),
      y: int32(y.shape, Array.from(y.data, Number)),
    },
    floats,
  };
}

const specsOf = <T extends Record<string, NDArray>>(values: T) =>
  Object.fromEntries(Object.entries(values).map(([key, { dtype, shape }]) => [key, new Spec(dtype, shape)])) as {
    [K in keyof T]: Spec<T[K]["dtype"]>;
  };

const magnitude = ({ data }: NDArray<"float32">): number =>
  data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

/** Largest difference, relative to the largest magnitude that is expected. */
function relativeError(actual: NDArray<"float32">, expected: NDArray<"float32">): number {
  expect(actual.shape).toEqual(expected.shape);
  return (
    magnitude(
      float32(
        expected.shape,
        expected.data.map((value, i) => value - actual.data[i]!),
      ),
    ) / magnitude(expected)
  );
}

/** Of a large parameter's gradient every 17th element is kept: coprime to every axis, so that each tap and channel is seen. */
const kept = ({ shape, data }: NDArray<"float32">): NDArray<"float32"> =>
  data.length > 4096
    ? float32(
        [Math.ceil(data.length / 17)],
        data.filter((_, i) => i % 17 === 0),
      )
    : float32(shape, data);

const expectKeysAndShapes = (network: Network, parameters: Record<string, NDArray>): void =>
  expect(Object.entries(parameterShapes(network))).toEqual(
    Object.entries(parameters).map(([key, { shape }]) => [key, shape]),
  );

const tolerance = 1e-4;
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend();
});
afterAll(() => backend[Symbol.asyncDispose]());

describe("the UNet unet_adm", () => {
  const { kind, config, parameters, inputs, floats } = load("unet_adm");
  if (kind !== "adm-unet") throw new Error(`a UNet was expected, not ${kind}`);
  const network = unet(config);

  test("has the reference's parameters, in its order", () => expectKeysAndShapes(network, parameters));

  test("computes the reference's output and every gradient", { timeout: 60_000 }, async () => {
    const values = { ...inputs, cotangent: floats("cotangent"), parameters };
    const specs = { ...specsOf({ ...inputs, cotangent: values.cotangent }), parameters: specsOf(parameters) };
    const graph = trace(specs, ({ x, t, y, cotangent, parameters }) => {
      const out = network(parameters, x, t, { label: y });
      return { out, gradients: gradients(out, { x, parameters }, cotangent) };
    });
    await using program = await compile(graph, backend);
    const { out, gradients: got } = await program.run(values);

    expect(relativeError(out, floats("out"))).toBeLessThan(tolerance);
    expect(relativeError(got.x, floats("grad_x"))).toBeLessThan(tolerance);
    const pairs = Object.keys(parameters).map((key) => ({
      key,
      actual: kept(got.parameters[key]!),
      expected: floats(`grad/${key}`),
    }));
    const largest = Math.max(...pairs.map(({ expected }) => magnitude(expected)));
    // A constant added to a channel that is then normalised alone has no effect: its gradient is rounding residue around zero.
    const negligible = 1e-6 * largest;
    const wrong = pairs.filter(({ actual, expected }) =>
      magnitude(expected) < negligible ? magnitude(actual) > negligible : relativeError(actual, expected) > tolerance,
    );
    expect(wrong.map(({ key }) => key)).toEqual([]);
    expect(pairs.filter(({ expected }) => magnitude(expected) < negligible)).toHaveLength(6);
  });
});

describe("the classifier classifier_attention", () => {
  const { kind, config, parameters, inputs, floats } = load("classifier_attention");
  if (kind !== "adm-classifier") throw new Error(`a classifier was expected, not ${kind}`);
  const network = encoderUnet(config);

  test("has the reference's parameters, in its order", () => expectKeysAndShapes(network, parameters));

  test("computes the reference's logits and gradient of log p(y | x)", { timeout: 60_000 }, async () => {
    const graph = trace({ ...specsOf(inputs), parameters: specsOf(parameters) }, ({ x, t, y, parameters }) => {
      const logits = network(parameters, x, t);
      const logProbability = logits.logSoftmax().mul(oneHot(y, config.outChannels)).sum(1);
      return { logits, logProbability, gradient: gradients(logProbability.sum(), { x }).x };
    });
    await using program = await compile(graph, backend, { bind: { parameters } });
    const { logits, logProbability, gradient } = await program.run(inputs);
    expect(relativeError(logits, floats("logits"))).toBeLessThan(tolerance);
    expect(relativeError(logProbability, floats("log_prob"))).toBeLessThan(tolerance);
    expect(relativeError(gradient, floats("grad_log_prob_x"))).toBeLessThan(tolerance);
  });
});
