import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model } from "../../src/checkpoint/model.ts";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { writeFiles } from "../../src/files/atomic.ts";
import { encoderUnet } from "../../src/models/adm/classifier.ts";
import { superResUnet } from "../../src/models/adm/super-resolution.ts";
import { unet } from "../../src/models/adm/unet.ts";
import { float32, int32, sizeOf } from "../../src/ndarray.ts";
import { onnxFile } from "../../src/onnx/file.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { exportGraph } from "../../src/sampling/export.ts";
import { collect, type SampleOptions, sample } from "../../src/sampling/sample.ts";
import { settle } from "../../src/sampling/settings.ts";
import { compute } from "../support/compute.ts";
import { floats, integers, openOnnx, readModelProto } from "../support/onnx-file.ts";
import { loadedTinyModel, randomWeights, tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
  await saveModel(at("model"), tinyModel());
  const { classifier: _, ...plain } = tinyModel();
  await saveModel(at("plain"), plain);
});
afterAll(() => backend[Symbol.asyncDispose]());

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
};
const shape = [3, 1, 8, 8];
const x = normals(5, 0, sizeOf(shape));
const times = [0, 7, 19];
const labels = [2, 0, 3];

/** A file that the command line wrote, in plain ONNX Runtime. */
async function exported(name: string, ...options: string[]) {
  const path = at(name);
  const { code, messages } = await guidestar(["export", at("model"), "--out", path, ...options]);
  expect({ code, messages }).toMatchObject({ code: 0 });
  return { ...(await openOnnx(path)), ...readModelProto(await readFile(path)), messages };
}
const inMemory = (model: Model, what: "denoiser" | "step", batch: number) => {
  const run = settle(model, { seeds: [0], sampler: ddim({ steps: 20 }) });
  return openOnnx(onnxFile(exportGraph(model, { what, batchSize: batch, run }), "x").bytes);
};

test("a label or step that does not exist makes what is computed of it NaN, and nothing else", async () => {
  const finite = (values: ArrayLike<number | bigint>) =>
    Array.from(values, Number).map((value) => (Number.isFinite(value) ? 1 : 0));
  const each = (image: number) => [0, 1, 2].map((i) => (i === image ? 0 : 1));
  const images = (flags: number[]) => flags.flatMap((flag) => new Array<number>(64).fill(flag));
  const denoiser = await exported("refusing-denoiser.onnx", "--what", "denoiser", "--batch-size", "3");
  // Numbers beyond 32 bits don't wrap around to those of a class.
  const wrapping = 2 ** 32 + 1;
  const values = (y: number[]) => ({ x: floats(shape, x), t: floats([3], times), y: integers([3], y) });
  const { out } = await denoiser.run(values([2, 4, 3])); // 3 stands for "no class"
  expect(finite(out!.data)).toEqual(each(1).flatMap((flag) => new Array<number>(128).fill(flag)));

  const gradient = await exported("refusing-gradient.onnx", "--what", "classifier-gradient", "--batch-size", "3");
  const { log_prob, grad } = await gradient.run(values([-1, 0, 2]));
  expect(finite(log_prob!.data)).toEqual(each(0));
  expect(finite(grad!.data)).toEqual(images(each(0)));
  const wrapped = await gradient.run(values([0, wrapping, 2]));
  expect(finite(wrapped.log_prob!.data)).toEqual(each(1));
  expect(finite(wrapped.grad!.data)).toEqual(images(each(1)));
  expect(finite((await denoiser.run(values([2, wrapping, 3]))).out!.data)).toEqual(finite(out!.data));

  const guided = ["--steps", "5", "--classifier-scale", "1"];
  const step = await exported("refusing-step.onnx", "--what", "step", "--batch-size", "3", ...guided);
  const stepAt = async (k: number, y: number[]) => {
    const noise = floats(shape, normals(6, 0, sizeOf(shape)));
    const { x_next, x0 } = await step.run({ x: floats(shape, x), noise, step: integers([], [k]), y: integers([3], y) });
    expect(finite(x0!.data)).toEqual(finite(x_next!.data));
    return finite(x_next!.data);
  };
  expect(await stepAt(4, [0, 1, 7])).toEqual(images(each(2)));
  expect(await stepAt(4, [0, 1, -wrapping])).toEqual(images(each(2)));
  expect(await stepAt(4, [0, 1, 2])).toEqual(images([1, 1, 1]));
  for (const k of [5, -1, wrapping]) expect(await stepAt(k, [0, 1, 2])).toEqual(images([0, 0, 0]));
});

describe("a denoiser", () => {
  test("gives what the network gives, for images at different times, of classes and of none", async () => {
    const file = await exported("denoiser.onnx", "--what", "denoiser", "--batch-size", "3");
    expect(file.inputs).toEqual(["x float32 [3, 1, 8, 8]", "t float32 [3]", "y int64 [3]"]);
    expect(file.outputs).toEqual(["out float32 [3, 2, 8, 8]"]);
    const { out } = await file.run({ x: floats(shape, x), t: floats([3], times), y: integers([3], labels) });
    const { denoiser, weights } = loadedTinyModel();
    const values = { x: float32(shape, x), t: float32([3], times), y: int32([3], labels), weights: weights.denoiser! };
    const ours = await compute(values, ({ x, t, y, weights }) => ({
      out: unet(denoiser!.config)(weights, x, t, { label: y }),
    }));
    expect(distance(out!.data, ours.out!.data)).toBeLessThan(1e-4);
    expect(file.domains).toEqual([""]);
    expect(file.messages).toContain("denoiser.onnx: denoiser of");
    expect(JSON.parse(file.metadata["guidestar.classes"]!)).toEqual(["circle", "square", "star"]);
    expect(JSON.parse(file.metadata["guidestar.process"]!)).toEqual(denoiser!.process);
    expect(file.metadata).toMatchObject({
      "guidestar.format": "guidestar-onnx-1",
      "guidestar.what": "denoiser",
      "guidestar.batch": "3",
      "guidestar.imageShape": "[1,8,8]",
      "guidestar.nullLabel": "3",
    });
  });

  test("takes timesteps of the original chain where the network sees others", async () => {
    const model = loadedTinyModel();
    const process = { ...model.denoiser!.process, rescaleTimesteps: true };
    const file = await inMemory({ ...model, denoiser: { ...model.denoiser!, process } }, "denoiser", 3);
    const { out } = await file.run({ x: floats(shape, x), t: floats([3], times), y: integers([3], labels) });
    const t = coefficients(noiseSchedule(process), times).timestep;
    expect(Array.from(t.data)).toEqual([0, 350, 950]);
    const values = { x: float32(shape, x), t, y: int32([3], labels), weights: model.weights.denoiser! };
    const ours = await compute(values, ({ x, t, y, weights }) => ({
      out: unet(model.denoiser!.config)(weights, x, t, { label: y }),
    }));
    expect(distance(out!.data, ours.out!.data)).toBeLessThan(1e-4);
  });

  test("has no y where it knows no classes, and low_res where it upsamples", async () => {
    const model = loadedTinyModel();
    const { numClasses: _, nullLabel: __, ...config } = model.denoiser!.config;
    const record = { ...model.denoiser!, kind: "adm-super-resolution", config: { ...config, lowResolution: 4 } };
    const weights = randomWeights("denoiser", record, 3);
    const file = await inMemory({ ...model, denoiser: record, weights: { denoiser: weights } }, "denoiser", 1);
    expect(file.inputs).toEqual(["x float32 [1, 1, 8, 8]", "t float32 [1]", "low_res float32 [1, 1, 4, 4]"]);
    const image = x.slice(0, 64);
    const small = normals(6, 0, 16);
    const { out } = await file.run({
      x: floats([1, 1, 8, 8], image),
      t: floats([1], [4]),
      low_res: floats([1, 1, 4, 4], small),
    });
    const values = {
      x: float32([1, 1, 8, 8], image),
      t: float32([1], [4]),
      lowRes: float32([1, 1, 4, 4], small),
      weights,
    };
    const ours = await compute(values, ({ x, t, lowRes, weights }) => ({
      out: superResUnet(config)(weights, x, t, { lowRes }),
    }));
    expect(distance(out!.data, ours.out!.data)).toBeLessThan(1e-4);

    const { classifier: _c, ...rest } = model;
    const upsampler = { ...rest, denoiser: record, weights: { denoiser: weights } };
    const step = await inMemory(upsampler, "step", 1);
    expect(step.inputs.map((input) => input.split(" ")[0])).toEqual(["x", "noise", "low_res", "step"]);
    const lowRes = floats([1, 1, 4, 4], small);
    let noisy = floats([1, 1, 8, 8], normals(9, 0, 64));
    for (let k = 0; k < 20; k++) {
      const { x_next } = await step.run({ x: noisy, noise: noisy, low_res: lowRes, step: integers([], [k]) });
      noisy = floats([1, 1, 8, 8], x_next!.data);
    }
    const sampler = ddim({ steps: 20 });
    const expected = await collect(
      sample(upsampler, { backend, seeds: [9], sampler, lowRes: float32([1, 1, 4, 4], small) }),
    );
    expect(distance(noisy.data as Float32Array, expected.data)).toBeLessThan(1e-4);
  });
});

describe("a classifier and its gradient", () => {
  test("agree with the network, and with central differences of log p(y | x)", async () => {
    const classifier = await exported("classifier.onnx", "--what", "classifier", "--batch-size", "3");
    const gradient = await exported("gradient.onnx", "--what", "classifier-gradient", "--batch-size", "3");
    expect(classifier.outputs).toEqual(["logits float32 [3, 3]"]);
    expect(gradient.outputs).toEqual(["log_prob float32 [3]", "grad float32 [3, 1, 8, 8]"]);
    const t = floats([3], times);
    const { logits } = await classifier.run({ x: floats(shape, x), t });
    const model = loadedTinyModel();
    const values = { x: float32(shape, x), t: float32([3], times), weights: model.weights.classifier! };
    // The interpreter works in float64, so that differences of its values are derivatives.
    const logitsAt = async (x: Float32Array) =>
      (
        await compute({ ...values, x: float32(shape, x) }, ({ x, t, weights }) => ({
          logits: encoderUnet(model.classifier!.config)(weights, x, t),
        }))
      ).logits!.data;
    expect(distance(logits!.data, await logitsAt(x))).toBeLessThan(1e-4);

    // The least likely class of each image, for that is where the gradient is not nearly zero.
    const y = [0, 1, 2].map((n) => {
      const row = Array.from(logits!.data.slice(3 * n, 3 * n + 3));
      return row.indexOf(Math.min(...row));
    });
    const logProbabilities = (logits: ArrayLike<number>): number[] =>
      y.map((label, n) => {
        const row = [0, 1, 2].map((k) => logits[3 * n + k]!);
        return row[label]! - Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
      });
    const { log_prob, grad } = await gradient.run({ x: floats(shape, x), t, y: integers([3], y) });
    expect(distance(log_prob!.data, logProbabilities(logits!.data))).toBeLessThan(1e-4);
    // All pixels of an image at once, each the way that should raise its probability, so that the difference is not small by chance.
    const direction = grad!.data.map(Math.sign);
    const along = (sign: number) => x.map((value, i) => value + sign * 2 ** -8 * direction[i]!);
    const [up, down] = [along(1), along(-1)];
    const [above, below] = [logProbabilities(await logitsAt(up)), logProbabilities(await logitsAt(down))];
    for (const n of y.keys()) {
      const slope = above[n]! - below[n]!;
      let expected = 0;
      for (let i = 64 * n; i < 64 * (n + 1); i++) expected += grad!.data[i]! * (up[i]! - down[i]!);
      expect(Math.abs(slope)).toBeGreaterThan(1e-4);
      expect(Math.abs(slope - expected), `image ${n}`).toBeLessThan(0.01 * Math.abs(expected));
    }
  });
});

describe("a step, looped by itself, draws the pictures of sample", () => {
  const seeds = [11, 12];
  const guidances: [string, string[], Omit<SampleOptions, "seeds">][] = [
    [
      "ddpm, both kinds of guidance",
      ["--sampler", "ddpm", "--steps", "5", "--cfg-scale", "3", "--classifier-scale", "2"],
      { sampler: ddpm({ steps: 5 }), guidance: { cfgScale: 3, classifierScale: 2 } },
    ],
    [
      "ddim, eta 0.5, the classifier alone",
      ["--sampler", "ddim", "--steps", "4", "--eta", "0.5", "--unconditional", "--classifier-scale", "1.5"],
      { sampler: ddim({ steps: 4, eta: 0.5 }), guidance: { unconditional: true, classifierScale: 1.5 } },
    ],
    [
      "ddpm, the gradient at the mean, steps of a paper",
      ["--sampler", "ddpm", "--steps", "3,2", "--gradient-at", "mean", "--cfg-scale", "1", "--classifier-scale", "1"],
      {
        sampler: ddpm({ steps: "3,2" }),
        guidance: { cfgScale: 1, classifierScale: 1, gradientAt: "mean" },
      },
    ],
    ["what is usual", [], { sampler: ddim({ steps: 20 }) }],
  ];

  test.each(guidances)("%s", async (_, flags, options) => {
    const file = await exported("step.onnx", "--what", "step", "--batch-size", "2", ...flags);
    expect(file.outputs).toEqual(["x_next float32 [2, 1, 8, 8]", "x0 float32 [2, 1, 8, 8]"]);
    expect(file.domains).toEqual([""]);
    // What a user has: the file, its metadata, and normal numbers.
    const steps = Number(file.metadata["guidestar.steps"]);
    const draw = (stream: number) =>
      floats(
        [2, 1, 8, 8],
        seeds.flatMap((seed) => [...normals(seed, stream, 64)]),
      );
    let x = draw(0);
    let x0: ArrayLike<number> = [];
    for (let step = 0; step < steps; step++) {
      const y = integers([2], [2, 1]);
      const out = await file.run({ x, noise: draw(step + 1), step: integers([], [step]), y });
      x = floats([2, 1, 8, 8], out.x_next!.data);
      x0 = out.x0!.data;
    }
    const model = await loadModel(at("model"));
    const expected = await collect(sample(model, { backend, seeds, labels: [2, 1], ...options }));
    expect(distance(x.data as Float32Array, expected.data)).toBeLessThan(1e-4);
    expect(distance(x0, expected.data)).toBeLessThan(1e-4);

    const timesteps: number[] = JSON.parse(file.metadata["guidestar.timesteps"]!);
    expect(timesteps).toHaveLength(steps);
    expect(timesteps).toEqual(timesteps.toSorted((a, b) => b - a));
    const tables: Record<string, number[]> = JSON.parse(file.metadata["guidestar.coefficients"]!);
    expect(tables.timestep).toEqual(timesteps);
    expect(tables.noisy).toEqual(timesteps.map((_, i) => (i < steps - 1 ? 1 : 0)));
  });

  test("asks for no class where none matters", async () => {
    const file = await exported("free.onnx", "--what", "step", "--unconditional", "--classifier-scale", "0");
    expect(file.inputs.map((input) => input.split(" ")[0]).sort()).toEqual(["noise", "step", "x"]);
  });
});

test("weights that don't fit into one file lie in one beside it", async () => {
  const tiny = loadedTinyModel();
  const denoiser = { ...tiny.denoiser!, config: { ...tiny.denoiser!.config, modelChannels: 64 } };
  const model = { ...tiny, denoiser, weights: { denoiser: randomWeights("denoiser", denoiser, 3) } };
  const run = settle(model, { seeds: [0] });
  const wide = exportGraph(model, { what: "denoiser", batchSize: 3, run });
  const inside = onnxFile(wide, "big.onnx");
  const outside = onnxFile(wide, "big.onnx", 1);
  expect(inside.externalData).toEqual([]);
  expect(outside.externalData.length).toBeGreaterThan(3);
  expect(outside.bytes.length).toBeLessThan(0.5 * inside.bytes.length);
  await mkdir(at("big"));
  await writeFiles([
    [at("big", "big.onnx"), outside.bytes],
    [at("big", "big.onnx.data"), outside.externalData.map(({ data }) => data)],
  ]);
  const feeds = { x: floats(shape, x), t: floats([3], times), y: integers([3], labels) };
  const [a, b] = [await openOnnx(inside.bytes), await openOnnx(at("big", "big.onnx"))];
  expect((await a.run(feeds)).out!.data).toEqual((await b.run(feeds)).out!.data);
});

test("Ctrl-C ends it, and nothing is written", async () => {
  const argv = ["export", at("model"), "--what", "denoiser", "--out", at("stopped", "x.onnx")];
  expect(await guidestar(argv, { interrupted: true })).toMatchObject({ code: 130, messages: "interrupted\n" });
  expect(await readdir(at())).not.toContain("stopped");
});

describe("is refused, and nothing is written", () => {
  test.each([
    [["model", "--what", "weights"], 2, /--what must be one of denoiser, classifier, .* but is "weights"/],
    [["model"], 2, /--what is missing/],
    [["plain", "--what", "classifier"], 3, /the model has no classifier to export, only a denoiser/],
    [["plain", "--what", "classifier-gradient"], 3, /the model has no classifier/],
    [["plain", "--what", "step", "--classifier-scale", "2"], 2, /needs a noisy classifier/],
    [["model", "--what", "denoiser", "--steps", "5"], 2, /--steps belongs to --what step/],
    [["model", "--what", "step", "--steps", "50"], 2, /steps must be a whole number from 1 to 20/],
    [["model", "--what", "denoiser", "--batch-size", "0"], 2, /--batch-size must be a whole number/],
    [["nowhere", "--what", "denoiser"], 3, /there is no such model/],
  ])("%s", async ([name, ...options], code, message) => {
    await mkdir(at("empty"), { recursive: true });
    const outcome = await guidestar(["export", at(name!), ...options, "--out", at("empty", "x.onnx")]);
    expect(outcome.code).toBe(code);
    expect(outcome.messages).toMatch(message);
    expect(await readdir(at("empty"))).toEqual([]);
  });

  test("an output of another kind", async () => {
    const { code, messages } = await guidestar(["export", at("model"), "--what", "denoiser", "--out", at("x.bin")]);
    expect(code).toBe(2);
    expect(messages).toMatch(/--out must be a file that ends in \.onnx/);
  });
});
