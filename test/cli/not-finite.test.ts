import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { ModelToSave, Weights } from "../../src/checkpoint/model.ts";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { float32 } from "../../src/ndarray.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const { denoiser, classifier, ...facts } = tinyModel();

/** Kernels times a number: finite, but what they give is not. */
const scaled = (weights: Weights, factor: number): Weights =>
  Object.fromEntries(
    Object.entries(weights).map(([name, { shape, data }]) => [
      name,
      float32(shape, name.endsWith("weight") ? data.map((value) => value * factor) : data),
    ]),
  );
/** Only the last kernel: what it gives is infinite, and never NaN. */
const lastScaled = (weights: Weights): Weights =>
  Object.fromEntries(
    Object.entries(weights).map(([name, { shape, data }]) => [
      name,
      float32(
        shape,
        name === "out.2.bias"
          ? data.map(() => 3e38)
          : name === "out.2.weight"
            ? data.map((v) => Math.abs(v) * 1e38)
            : data,
      ),
    ]),
  );
const factors = [1e12, 1e25, 1e37, 0];
const overflowing = <N extends { readonly weights: Weights }>(network: N, factor: number): N => ({
  ...network,
  weights: factor === 0 ? lastScaled(network.weights) : scaled(network.weights, factor),
});
beforeAll(async () => {
  for (const factor of factors) {
    await saveModel(at(`over-${factor}`), { ...facts, denoiser: overflowing(denoiser, factor) });
    await saveModel(at(`classifier-${factor}`), {
      ...facts,
      denoiser,
      classifier: { ...classifier, weights: scaled(classifier.weights, factor || 1e25) },
    });
  }
  await saveModel(at("good"), { ...facts, denoiser });
  const upsampler = tinyUpsampler();
  await saveModel(at("upsampler"), upsampler);
  for (const factor of factors)
    await saveModel(at(`upsampler-${factor}`), { ...upsampler, denoiser: overflowing(upsampler.denoiser, factor) });
  await writeImages(at("images"));
});

const outputs = () => readdirSync(folder.path).filter((name) => /\.(png|npz|csv|gif|svg)$/.test(name));

describe.each(factors)("weights that overflow (x %f)", (factor) => {
  const model = () => at(`over-${factor}`);
  test.each<[string, () => string[]]>([
    ["sample", () => ["sample", "--model", model(), "--out", at("a.png"), "--steps", "3"]],
    [
      "sample, ancestral, guided",
      () => ["sample", "--model", model(), "--out", at("a.png"), "--steps", "3", "--cfg-scale", "3"],
    ],
    [
      "sample with a classifier",
      () => [
        "sample",
        "--model",
        at(`classifier-${factor}`),
        "--classifier-scale",
        "3",
        "--out",
        at("a.png"),
        "--steps",
        "3",
      ],
    ],
    [
      "sample, thresholded",
      () => ["sample", "--model", model(), "--out", at("a.png"), "--steps", "3", "--threshold", "99"],
    ],
    [
      "sample without clipping",
      () => ["sample", "--model", model(), "--out", at("a.png"), "--steps", "3", "--cfg-scale", "1"],
    ],
    [
      "sample, unconditional",
      () => ["sample", "--model", model(), "--out", at("a.png"), "--steps", "3", "--unconditional"],
    ],
    [
      "a cascade's first",
      () => ["sample", "--model", model(), "--upsampler", at("upsampler"), "--out", at("a.png"), "--steps", "3"],
    ],
    [
      "a cascade's second",
      () => [
        "sample",
        "--model",
        at("good"),
        "--upsampler",
        at(`upsampler-${factor}`),
        "--out",
        at("a.png"),
        "--steps",
        "3",
        "--upsampler-steps",
        "3",
      ],
    ],
    [
      "sample to npz and gif",
      () => [
        "sample",
        "--model",
        model(),
        "--out",
        at("a.png"),
        "--npz",
        at("a.npz"),
        "--gif",
        at("a.gif"),
        "--steps",
        "3",
      ],
    ],
    [
      "encode",
      () => ["encode", at("images"), "--model", model(), "--class", "star", "--out", at("l.npz"), "--steps", "3"],
    ],
    [
      "nll",
      () => [
        "nll",
        at("images"),
        "--model",
        model(),
        "--class",
        "star",
        "--steps",
        "3",
        "--count",
        "2",
        "--csv",
        at("t.csv"),
      ],
    ],
  ])("%s", async (_, line) => {
    const { code, out, messages } = await guidestar(line());
    expect({ code, out, messages }).toMatchObject({ code: line()[0] === "nll" ? 3 : 1, out: "" });
    expect(messages).toMatch(/guidestar: .*(step \d+ of \d+: .* not finite|at timestep \d+ is (NaN|Infinity)).*\n$/);
    expect(outputs()).toEqual([]);
  });
});

test("a sweep, whose finished cells stay", async () => {
  const digits = await loadModel("digits");
  const { denoiser, classifier: _, weights, source: __, format: ___, ...facts } = digits;
  const network = { record: denoiser!, weights: scaled(weights.denoiser!, 1e25) };
  await saveModel(at("digits"), { ...facts, denoiser: network } as ModelToSave);
  const line = ["sweep", "--model", at("digits"), "--out", at("sweep"), "--count", "10", "--steps", "2,3"];
  const { code, out, messages } = await guidestar(line);
  expect({ code, out, messages }).toMatchObject({
    code: 1,
    out: "",
    messages: expect.stringMatching(/step 1 of 2: .* not finite/),
  });
  expect(existsSync(at("sweep", "cells.jsonl"))).toBe(false);
});
