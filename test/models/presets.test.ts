import { describe, expect, test } from "vitest";
import { encoderUnet } from "../../src/models/adm/classifier.ts";
import type { UNetConfig } from "../../src/models/adm/config.ts";
import { networkOf } from "../../src/models/adm/network.ts";
import { benchmarkConfigs, classifierPreset, denoiserPreset, presetNames } from "../../src/models/adm/presets.ts";
import { publishedNetworks } from "../../src/models/adm/published.ts";
import { unet } from "../../src/models/adm/unet.ts";
import { countParameters, type Network, parameterShapes } from "../../src/nn/module.ts";
import { countFlops } from "../../src/tensor/cost.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { f32, i32, input } from "../../src/tensor/trace.ts";

const tensorsOf = (network: Network) =>
  Object.fromEntries(Object.entries(parameterShapes(network)).map(([key, shape]) => [key, input(key, f32(...shape))]));

function forward(config: UNetConfig, n: number) {
  const network = unet(config);
  const parameters = tensorsOf(network);
  const { imageSize, imageWidth = imageSize } = config;
  const x = input("x", f32(n, config.inChannels, imageSize, imageWidth));
  return { parameters, out: network(parameters, x, input("t", f32(n)), { label: input("y", i32(n)) }) };
}

const millions = (count: number): number => Math.round(count / 1e6);

test("published networks have the published numbers of parameters", () => {
  const counts = Object.entries(publishedNetworks).map(([name, config]) => [name, countParameters(networkOf(config))]);
  expect(Object.fromEntries(counts.map(([name, count]) => [name, millions(count as number)]))).toEqual({
    "adm-64": 296,
    "adm-128": 422,
    "adm-256": 554,
    "adm-256-unconditional": 553,
    "adm-512": 559,
    "adm-256-upsampler": 312,
    "adm-512-upsampler": 309,
    "adm-64-classifier": 65,
    "adm-128-classifier": 43,
    "adm-256-classifier": 54,
    "adm-512-classifier": 54,
  });
});

describe.each(presetNames)("preset %s", (name) => {
  test.each([
    [1, 28, 28],
    [3, 32, 32],
    [3, 64, 64],
    [1, 30, 30],
    [3, 4, 4],
    [1, 64, 32],
    [3, 8, 20],
    [1, 30, 33],
  ])("fits images of %i channels and %i x %i pixels", (channels, height, width) => {
    const data = { imageShape: [channels, height, width] as const, classes: 10 };
    const { parameters, out } = forward(denoiserPreset(name, data), 2);
    expect(out.shape).toEqual([2, 2 * channels, height, width]);
    expect(gradients(out.mean(), parameters)).toHaveProperty(["out.2.weight"]);
    const classifier = encoderUnet(classifierPreset(name, data));
    const x = input("x", f32(2, channels, height, width));
    expect(classifier(tensorsOf(classifier), x, input("t", f32(2))).shape).toEqual([2, 10]);
  });

  test("has one label more for no class, and a learned variance, unless told otherwise", () => {
    const data = { imageShape: [3, 32, 32] as const, classes: 4 };
    const shapes = parameterShapes(unet(denoiserPreset(name, { ...data, learnedVariance: false, nullLabel: false })));
    const area = (denoiserPreset(name, data).patchSize ?? 1) ** 2;
    expect([shapes["label_emb.weight"]![0], shapes["out.2.weight"]![0]]).toEqual([4, 3 * area]);
    const defaults = parameterShapes(unet(denoiserPreset(name, data)));
    expect([defaults["label_emb.weight"]![0], defaults["out.2.weight"]![0]]).toEqual([5, 6 * area]);
  });
});

test("presets cost what their docstrings say: of 28x28 grey images, deep and those of patches of 32x32 in colour", () => {
  const costs = presetNames.map((name) => {
    const imageShape = /^(deep|patch-.*)$/.test(name) ? ([3, 32, 32] as const) : ([1, 28, 28] as const);
    const config = denoiserPreset(name, { imageShape, classes: 10 });
    const round = (value: number) => Number(value.toPrecision(2));
    return [round(countParameters(unet(config)) / 1e6), round(countFlops([forward(config, 1).out]) / 1e9)];
  });
  expect(costs).toEqual([
    [0.92, 0.12],
    [1.5, 0.24],
    [3, 0.2],
    [4.9, 0.95],
    [1.4, 0.11],
    [3, 0.16],
    [3.7, 0.28],
  ]);
});

test("presets of patches cut what can be cut, and take other images as they are", () => {
  const patchOf = (...imageShape: [number, number, number]) =>
    denoiserPreset("patch-small", { imageShape, classes: 2 }).patchSize;
  expect([patchOf(3, 32, 32), patchOf(3, 8, 12), patchOf(3, 4, 4), patchOf(1, 30, 33)]).toEqual([
    2,
    2,
    undefined,
    undefined,
  ]);
});

test("the benchmark's UNet is that of the measurements: 6.5 M parameters, 44.2 GFLOP for 16 images", () => {
  const config = benchmarkConfigs["bench-64"];
  expect(countParameters(unet(config)) / 1e6).toBeCloseTo(6.5, 1);
  const { parameters, out } = forward(config, 16);
  const cost = countFlops([out]);
  expect(cost / 1e9).toBeCloseTo(44.2, 1);
  const backward = countFlops(Object.values(gradients(out.sum(), parameters)));
  expect(backward / cost).toBeCloseTo(3, 1);
});
