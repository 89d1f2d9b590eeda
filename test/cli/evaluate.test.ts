import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import type { WritableArray } from "../../src/formats/npy.ts";
import { readNpz, writeNpz } from "../../src/formats/npz.ts";
import { encodePng } from "../../src/images/png.ts";
import { emit } from "../../src/onnx/emit.ts";
import { lower } from "../../src/onnx/lower.ts";
import { normals } from "../../src/random.ts";
import { f32, trace } from "../../src/tensor/trace.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

const rows = (count: number, columns: number, seed: number, shift = 0): WritableArray => ({
  dtype: "float64",
  shape: [count, columns],
  data: Float64Array.from(normals(seed, 0, count * columns), (value) => value + shift),
});
const write = async (name: string, arrays: Record<string, WritableArray>): Promise<string> => {
  await writeFile(at(name), writeNpz(arrays));
  return at(name);
};
/** Pictures of three classes of the tiny model, brighter in each. */
async function writePictures(path: string, count: number, noise: number): Promise<void> {
  for (const [label, name] of ["circle", "square", "star"].entries()) {
    await mkdir(at(path, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const data = Uint8Array.from({ length: 64 }, (_, p) => 60 * label + ((p * (i + noise)) % 100));
      await writeFile(at(path, name, `${i}.png`), encodePng({ width: 8, height: 8, channels: 1, data }));
    }
  }
}

/** 21 pictures of noise with the classes of digits. */
async function writeDigits(name: string, side: number): Promise<void> {
  const data = Uint8Array.from({ length: 21 * side * side }, (_, i) => (i * i * 37) % 251);
  const arr_1 = {
    dtype: "int64",
    shape: [21],
    data: BigInt64Array.from({ length: 21 }, (_, i) => BigInt(i % 10)),
  } as const;
  await writeFile(at(name), writeNpz({ arr_0: { dtype: "uint8", shape: [21, side, side, 1], data }, arr_1 }));
}

const evaluate = (...argv: string[]) => guidestar(["evaluate", ...argv, "--threads", "1"]);
async function json(...argv: string[]) {
  const { code, out, messages } = await evaluate(...argv, "--json");
  expect({ code, messages }).toMatchObject({ code: 0 });
  return JSON.parse(out);
}

beforeAll(async () => {
  await write("real.npz", { a: rows(80, 5, 1) });
  await write("drawn.npz", { b: rows(60, 5, 2, 0.5) });
  const sure = Float64Array.from({ length: 180 }, (_, i) => (i % 3 === Math.floor(i / 3) % 3 ? 1 : 0));
  await write("sure.npz", { p: { dtype: "float64", shape: [60, 3], data: sure } });
  await writePictures("photos", 8, 3);
  await writePictures("samples", 7, 4);
  const graph = trace({ x: f32(4, 1, 8, 8) }, ({ x }) => ({
    corner: x.slice(2, 0, 2).slice(3, 0, 2).reshape(4, 4),
    scores: x.reshape(4, 4, 16).mean([2]).slice(1, 0, 3),
  }));
  await writeFile(at("eye.onnx"), emit(lower(graph), { weights: "inside", nameOutput: (name) => name }).bytes);
  const declaration = { input: "x", channels: 1, features: "corner", logits: "scores", batch: 4 };
  await writeFile(at("eye.json"), JSON.stringify({ ...declaration, classes: ["circle", "square", "star"] }));
});

describe("evaluate features", () => {
  test("prints every metric with its error, and the counts", async () => {
    const files = ["--reference-features", at("real.npz"), "--sample-features", at("drawn.npz")];
    const report = await json(...files, "--probabilities", at("sure.npz"));
    expect(report).toMatchObject({ samples: 60, reference: 80, k: 3, seed: 0, warnings: [] });
    for (const key of ["fid", "precision", "recall", "kid", "inceptionScore"]) {
      expect(report[key], key).toBeGreaterThan(0);
      expect(report[`${key}Error`], key).toBeGreaterThan(0);
    }
    expect(report.inceptionScore).toBeCloseTo(3, 10);
    expect(report.fid).toBeLessThan(5 * 0.25 + 1);
    const { code, out } = await evaluate(...files);
    expect(code).toBe(0);
    expect(out).toMatch(/^60 samples against 80 of the reference\nFrechet distance +[\d.]+ +± [\d.]+\nprecision/);
    expect(out).not.toContain("inception score");
  });

  test("warns where they are few", async () => {
    await write("few.npz", { b: rows(5, 5, 3) });
    const { messages } = await evaluate("--reference-features", at("real.npz"), "--sample-features", at("few.npz"));
    expect(messages).toMatch(/warning: 5 images are few for features of 5 dimensions; the covariance .* singular/);
  });

  test.each([
    ["of other widths", { b: rows(60, 4, 2) }, /4 and of 5 dimensions/],
    ["one alone", { b: rows(1, 5, 2) }, /there is 1 sample, but a covariance takes at least 2/],
    [
      "NaN",
      { b: { ...rows(9, 5, 2), data: new Float64Array(45).fill(Number.NaN) } as WritableArray },
      /row 0 holds NaN/,
    ],
    ["no rows", { b: { dtype: "float64", shape: [4], data: new Float64Array(4) } as WritableArray }, /rows of numbers/],
    ["nothing", {}, /empty/],
  ])("refuses features: %s", async (_, arrays, message) => {
    await write("bad.npz", arrays as Record<string, WritableArray>);
    const outcome = await evaluate("--reference-features", at("real.npz"), "--sample-features", at("bad.npz"));
    expect(outcome).toMatchObject({ code: 3, out: "" });
    expect(outcome.messages).toMatch(message);
  });

  test("refuses files that are none, and statistics that cannot be", async () => {
    await writeFile(at("text.npz"), "no archive");
    for (const file of [at("text.npz"), at("missing.npz")]) {
      const { code, messages } = await evaluate("--reference-features", file, "--sample-features", at("drawn.npz"));
      expect(code).toBe(3);
      expect(messages).toContain(file);
    }
    const sigma: WritableArray = {
      dtype: "float64",
      shape: [5, 5],
      data: Float64Array.from({ length: 25 }, (_, i) => (i % 6 ? 0 : -1)),
    };
    await write("negative.npz", { mu: { dtype: "float64", shape: [5], data: new Float64Array(5) }, sigma });
    const { code, messages } = await evaluate("--reference", at("negative.npz"), "--sample-features", at("drawn.npz"));
    expect(code).toBe(3);
    expect(messages).toContain("variance is -1");
  });

  test("wants one thing to measure, and one to compare with", async () => {
    expect((await evaluate("--sample-features", at("drawn.npz"))).code).toBe(2);
    expect((await evaluate()).code).toBe(2);
    expect((await evaluate(at("photos"), "--sample-features", at("drawn.npz"))).code).toBe(2);
    const both = ["--reference", at("photos"), "--reference-features", at("real.npz")];
    expect((await evaluate("--sample-features", at("drawn.npz"), ...both)).code).toBe(2);
    expect((await evaluate(at("photos"), "--detector", "eye.pt")).code).toBe(2);
  });
});

describe("evaluate images", () => {
  const eye = () => ["--detector", at("eye.onnx")];

  test("by an ONNX detector, and again from what it saved", async () => {
    const saved = ["--save-features", at("out", "f.npz"), "--save-statistics", at("out", "s.npz")];
    const direct = await json(at("samples"), "--reference", at("photos"), ...eye(), ...saved);
    expect(direct).toMatchObject({
      detector: expect.stringMatching(/^eye\.onnx \([0-9a-f]{12}\)$/),
      samples: 21,
      reference: 24,
    });
    expect(direct.accuracy).toBeGreaterThanOrEqual(0);
    expect(direct.warnings.join()).toMatch(/21 images are few/);
    await json(at("photos"), ...eye(), "--save-features", at("out", "r.npz"), "--save-statistics", at("out", "rs.npz"));
    const again = await json("--reference-features", at("out", "r.npz"), "--sample-features", at("out", "f.npz"));
    for (const key of ["fid", "fidError", "precision", "recall", "kid", "inceptionScore"])
      expect(again[key], key).toBe(direct[key]);
    const fromStatistics = await json("--reference", at("out", "rs.npz"), "--sample-features", at("out", "f.npz"));
    expect(fromStatistics.fid).toBeCloseTo(direct.fid, 10);
    expect(fromStatistics.precision).toBeUndefined();
    const { mu, sigma } = readNpz(await readFile(at("out", "s.npz")));
    expect([mu!.shape, sigma!.shape]).toEqual([[4], [4, 4]]);
  });

  test("of one size only, where the detector sees one; and not without its declaration", async () => {
    await writeDigits("small.npz", 8);
    const small = await evaluate(at("small.npz"));
    expect(small).toMatchObject({ code: 3, out: "" });
    expect(small.messages).toMatch(/8x8, but the detector digits sees 28x28: resize them \(--size 28\)/);
    const others = await evaluate(at("samples"), "--size", "28");
    expect(others).toMatchObject({ code: 3, out: "" });
    expect(others.messages).toMatch(
      /images of circle, square, star, but the detector digits knows 0, 1, .*train detector/,
    );
    await writeFile(at("bare.onnx"), "no model");
    const bare = await evaluate(at("samples"), "--detector", at("bare.onnx"));
    expect(bare.code).toBe(3);
    expect(bare.messages).toMatch(/bare.json: a detector needs its declaration here, such as/);
  });

  test("digits by the bundled detector, against the bundled reference", async () => {
    await writeDigits("digits.npz", 28);
    const report = await json(at("digits.npz"));
    expect(report).toMatchObject({ detector: "digits", samples: 21, real: { images: 21 } });
    expect(report.real.fid).toBeLessThan(report.fid);
    expect(report.reference).toBeGreaterThan(1000);
    expect(report.fid).toBeGreaterThan(0);
    expect(report.sfid).toBeGreaterThan(0);
  });
});

test("evaluate --classifier: the accuracy by timestep, as a table, a file and a picture", async () => {
  await saveModel(at("model"), tinyModel());
  const files = ["--csv", at("a", "accuracy.csv"), "--plot", at("a", "accuracy.svg")];
  const { code, out } = await evaluate(at("photos"), "--classifier", at("model"), ...files);
  expect(code).toBe(0);
  expect(out).toMatch(/timestep +accuracy/);
  expect((await readFile(at("a", "accuracy.csv"), "utf8")).split("\n").length).toBeGreaterThan(10);
  expect(await readFile(at("a", "accuracy.svg"), "utf8")).toContain("<svg");
  expect((await evaluate("--classifier", at("model"))).code).toBe(2);
});
