import { describe, expect, test } from "vitest";
import { ModelError, UsageError } from "../../src/errors.ts";
import { denoiserNetwork, denoiserSignature } from "../../src/models/families.ts";
import { pixelTransformerFamily } from "../../src/models/pixel-transformer.ts";
import type { PixelTransformerConfig } from "../../src/models/transformer/config.ts";
import { pixelTransformer } from "../../src/models/transformer/network.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { countParameters, parameterShapes } from "../../src/nn/module.ts";
import { countFlops } from "../../src/tensor/cost.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { f32, i32, input } from "../../src/tensor/trace.ts";
import { leaves, type Numbers, numbers, someParameters } from "../nn/numbers.ts";
import { evaluate } from "../support/interpreter.ts";
import { plainTransformer } from "./support/plain-transformer.ts";

const config: PixelTransformerConfig = {
  imageSize: 4,
  imageWidth: 6,
  inChannels: 3,
  outChannels: 6,
  patchSize: 2,
  hiddenSize: 16,
  depth: 2,
  numHeads: 2,
  mlpRatio: 1,
  numClasses: 3,
  nullLabel: true,
};
const image = numbers([2, 3, 4, 6]);
const timesteps = [3, 700];

/** What the network computes, in float64. */
function outputOf(
  network: ReturnType<typeof pixelTransformer>,
  parameters: Record<string, Numbers>,
  { labels = [0, 3], x = image, t = timesteps }: { labels?: number[]; x?: Numbers; t?: number[] } = {},
): Numbers {
  const out = network(leaves(parameters), input("x", f32(...x.shape)), input("t", f32(t.length)), {
    label: input("y", i32(t.length)),
  });
  const given = { x, t: { shape: [t.length], data: t }, y: { shape: [t.length], data: labels } };
  return evaluate({ out }, { ...parameters, ...given }).out;
}

describe("the transformer of pixels", () => {
  const network = pixelTransformer(config);
  /** Numbers of a size at which nothing saturates. */
  const parameters = Object.fromEntries(
    Object.entries(someParameters(network)).map(([key, { shape, data }]) => [
      key,
      { shape, data: Array.from(data, (value) => 0.4 * value) },
    ]),
  );

  test("computes what the papers write, image by image and token by token", () => {
    const out = outputOf(network, parameters);
    const expected = plainTransformer(config, parameters, image, timesteps, [0, 3]);
    expect(out.shape).toEqual([2, 6, 4, 6]);
    expect(expected.length).toBe(out.data.length);
    const largest = Math.max(...expected.map(Math.abs));
    expect(largest).toBeGreaterThan(0.1);
    // Tables of positions and frequencies are float32.
    for (const [i, value] of expected.entries()) expect(Math.abs(value - out.data[i]!)).toBeLessThan(1e-5 * largest);
  });

  test("starts by predicting zero, with blocks that leave tokens as they are", () => {
    const start = initialize(network, 7);
    expect(Array.from(outputOf(network, start).data).every((value) => value === 0)).toBe(true);
    const zeros = Object.entries(start).filter(([, { data }]) => data.every((value) => value === 0));
    expect(zeros.map(([key]) => key)).toEqual([
      ...[0, 1].flatMap((i) => [`blocks.${i}.adaLN_modulation.1.weight`, `blocks.${i}.adaLN_modulation.1.bias`]),
      "final_layer.linear.weight",
      "final_layer.linear.bias",
      "final_layer.adaLN_modulation.1.weight",
      "final_layer.adaLN_modulation.1.bias",
    ]);
  });

  test("depends on image, timestep and label, of which the last stands for none", () => {
    const base = outputOf(network, parameters).data;
    expect(outputOf(network, parameters, { labels: [0, 2] }).data).not.toEqual(base);
    expect(outputOf(network, parameters, { t: [3, 701] }).data).not.toEqual(base);
    expect(outputOf(network, parameters, { x: numbers([2, 3, 4, 6], 1) }).data).not.toEqual(base);
    expect(parameterShapes(network)["y_embedder.embedding_table.weight"]).toEqual([4, 16]);
    const told = pixelTransformer({ ...config, nullLabel: false });
    expect(parameterShapes(told)["y_embedder.embedding_table.weight"]).toEqual([3, 16]);
  });

  test("told how an image was changed, it gives another output; told of none, that of an image as it is", () => {
    const told = pixelTransformer({ ...config, augmentSize: 3 });
    const values: Record<string, Numbers> = { ...parameters, "a_embedder.weight": numbers([16, 3], 9) };
    const given = {
      x: image,
      t: { shape: [2], data: timesteps },
      y: { shape: [2], data: [0, 3] },
      augment: numbers([2, 3], 4),
    };
    const label = input("y", i32(2));
    const run = (factor: number) => {
      const augment = input("augment", f32(2, 3)).mul(factor);
      const own = leaves(values);
      return evaluate(
        { out: told(own, input("x", f32(2, 3, 4, 6)), input("t", f32(2)), { label, augment }) },
        {
          ...values,
          ...given,
        },
      ).out.data;
    };
    const asIs = outputOf(told, values).data;
    expect(run(0)).toEqual(asIs);
    expect(run(1)).not.toEqual(asIs);
  });

  test("says whether it wants labels, and what it cannot cut", () => {
    const { numClasses: _, nullLabel: __, ...unconditional } = config;
    const own = leaves(parameters);
    const [x, t, label] = [input("x", f32(2, 3, 4, 6)), input("t", f32(2)), input("y", i32(2))];
    expect(() => network(own, x, t)).toThrow(UsageError);
    expect(() => pixelTransformer(unconditional)(own, x, t, { label })).toThrow(UsageError);
    expect(() => network(own, input("x", f32(2, 3, 4, 5)), t, { label })).toThrow(
      "divisible by 2, the side of patches, but is [2, 3, 4, 5]",
    );
    expect(() => pixelTransformer({ ...config, numHeads: 3 })).toThrow(ModelError);
    expect(() => pixelTransformer({ ...config, numHeads: 8 })).toThrow("hiddenSize 16 does not divide into 8 heads");
  });
});

describe("its family", () => {
  const { kind, presets, schema } = pixelTransformerFamily;
  const cost = (config: PixelTransformerConfig): [number, number] => {
    const network = denoiserNetwork({ kind, config });
    const shapes = parameterShapes(network);
    const own = Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, input(key, f32(...shape))]));
    const [, height, width] = denoiserSignature({ kind, config }).imageShape;
    const x = input("x", f32(1, config.inChannels, height, width));
    const out = network(own, x, input("t", f32(1)), { label: input("y", i32(1)) });
    expect(out.shape).toEqual([1, config.outChannels, height, width]);
    expect(Object.keys(gradients(out.mean(), own))).toEqual(Object.keys(own));
    const round = (value: number) => Number(value.toPrecision(2));
    return [round(countParameters(network) / 1e6), round(countFlops([out]) / 1e9)];
  };

  test.each([
    ["tiny", 1.3, 0.11],
    ["small", 2.9, 0.26],
    ["base", 5.5, 0.49],
  ] as const)("preset %s costs what its docstring says, for 32x32 in colour", (name, parameters, flops) => {
    const data = { imageShape: [3, 32, 32] as const, classes: 10, learnedVariance: true, nullLabel: true };
    const config = presets[name](data);
    expect(schema.safeParse(config)).toEqual({ success: true, data: config });
    expect(cost(config)).toEqual([parameters, flops]);
  });

  test.each([
    [1, 28, 28, 4],
    [3, 64, 64, 8],
    [1, 30, 33, 3],
    [3, 8, 20, 2],
    [3, 4, 4, 1],
    [1, 37, 31, 1],
  ])("presets cut images of %i channels and %i x %i pixels into patches of %i", (channels, height, width, side) => {
    const data = {
      imageShape: [channels, height, width] as const,
      classes: 2,
      learnedVariance: false,
      nullLabel: true,
    };
    expect(presets.tiny(data)).toMatchObject({ patchSize: side, outChannels: channels });
    cost(presets.tiny(data));
  });

  test("a damaged config is refused", () => {
    const data = { imageShape: [3, 32, 32] as const, classes: 0, learnedVariance: true, nullLabel: true };
    expect(schema.safeParse({ ...presets.tiny(data), depth: 1e9 }).success).toBe(false);
    expect(denoiserSignature({ kind, config: presets.tiny(data) })).toEqual({
      imageShape: [3, 32, 32],
      outChannels: 6,
      classes: undefined,
      nullLabel: undefined,
    });
  });
});
