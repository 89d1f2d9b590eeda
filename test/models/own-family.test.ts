import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Backend,
  collect,
  ddim,
  exportGraph,
  loadModel,
  ModelError,
  onnxFile,
  openBackend,
  sample,
  saveModel,
  trainClassifier,
  trainDenoiser,
  trained,
  UsageError,
} from "guidestar";
import { settle } from "guidestar/diffusion";
import { collectBound, variationalBound } from "guidestar/evaluation";
import { type DenoiserDataShape, registerFamily } from "guidestar/models";
import { initialize } from "guidestar/nn";
import { float32, int32, normals } from "guidestar/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { guidestar, temporaryFolder, writeImages } from "../cli/world.ts";
import { floats, integers, openOnnx } from "../support/onnx-file.ts";
import { convDenoiser, poolClassifier } from "./support/own-family.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
let backend: Backend;
beforeAll(async () => {
  registerFamily(convDenoiser);
  registerFamily(poolClassifier);
  backend = await openBackend({ threads: 1 });
  await writeImages(at("images"));
});
afterAll(() => backend[Symbol.asyncDispose]());

const succeeds = async (...argv: string[]) => {
  const outcome = await guidestar([...argv, "--threads", "1"]);
  expect(outcome, argv.join(" ")).toMatchObject({ code: 0 });
  return outcome;
};

describe("a family from outside, in the library", () => {
  const process = ddpmProcess({ steps: 20, variance: "learned-range" });
  const data = { imageShape: [1, 8, 8], classes: 2 } as const;
  /** Light images of class 1, dark ones of class 0. */
  const batchAt = (step: number) => {
    const y = Array.from({ length: 8 }, (_, i) => i % 2);
    const noise = normals(4, step, 8 * 64);
    return {
      x: float32(
        [8, 1, 8, 8],
        noise.map((value, i) => (y[Math.floor(i / 64)]! ? 0.6 : -0.6) + 0.1 * value),
      ),
      y: int32([8], y),
    };
  };
  const options = { batchAt, process, steps: 60, learningRate: 3e-3, emaRate: 0.9 };

  beforeAll(async () => {
    const config = convDenoiser.presets!.small!({ ...data, learnedVariance: true, nullLabel: true });
    const network = convDenoiser.build(config);
    const weights = await trained(
      trainDenoiser({
        ...options,
        backend,
        network,
        weights: initialize(network, 0),
        classes: 2,
        labelDropout: 0.1,
      }),
    );
    const classifier = poolClassifier.presets!.small!(data);
    const classify = poolClassifier.build(classifier);
    const read = await trained(
      trainClassifier({ ...options, backend, network: classify, weights: initialize(classify, 1) }),
    );
    const { prediction: _, variance: __, ...noise } = process;
    await saveModel(at("model"), {
      classes: ["dark", "light"],
      imageShape: [1, 8, 8],
      preprocessing: {},
      denoiser: { record: { kind: "conv", config, process }, weights },
      classifier: { record: { kind: "pool", config: classifier, process: noise }, weights: read },
    });
  });

  const draw = async (guidance: object, labels = ["dark", "light"]) => {
    const x = await collect(
      sample(await loadModel(at("model")), { backend, labels, seeds: [1, 2], sampler: ddim({ steps: 10 }), guidance }),
    );
    const mean = (image: number) => x.data.slice(64 * image, 64 * (image + 1)).reduce((sum, v) => sum + v / 64, 0);
    return [mean(0), mean(1)] as const;
  };

  test("draws the class that it is told, without a classifier and by its classifier", async () => {
    expect(await loadModel(at("model"))).toMatchObject({ denoiser: { kind: "conv" }, classifier: { kind: "pool" } });
    for (const guidance of [{ cfgScale: 2 }, { unconditional: true, classifierScale: 4 }]) {
      const [dark, light] = await draw(guidance);
      expect(light - dark).toBeGreaterThan(0.3);
    }
  });

  test("is exported, and the file computes what the network does", async () => {
    const model = await loadModel(at("model"));
    const run = settle(model, { seeds: [0] });
    const x = normals(2, 0, 128);
    const feeds = { x: floats([2, 1, 8, 8], x), t: floats([2], [3, 15]), y: integers([2], [0, 2]) };
    const file = await openOnnx(onnxFile(exportGraph(model, { what: "denoiser", batchSize: 2, run }), "x").bytes);
    expect(file.inputs).toEqual(["x float32 [2, 1, 8, 8]", "t float32 [2]", "y int64 [2]"]);
    const { out } = await file.run(feeds);
    expect(out!.shape).toEqual([2, 2, 8, 8]);
    expect(out!.data.every(Number.isFinite)).toBe(true);
    const step = await openOnnx(onnxFile(exportGraph(model, { what: "step", batchSize: 2, run }), "x").bytes);
    expect(step.outputs).toContain("x_next float32 [2, 1, 8, 8]");
  });

  test("gives a bound on the likelihood", async () => {
    const source = { count: 8, take: () => batchAt(1) };
    const { total } = await collectBound(
      variationalBound(await loadModel(at("model")), source, { backend, batchSize: 8 }),
    );
    expect(total).toBeGreaterThan(0);
  });
});

describe("a family from outside, on the command line", () => {
  const data = ["--data", "images", "--steps", "4", "--batch", "4", "--checkpoint-every", "2"];
  const train = (network: string, family: string) =>
    succeeds("train", network, ...data.with(1, at("images")), "--out", at("line"), "--family", family);
  beforeAll(async () => {
    await train("denoiser", "conv");
    await train("classifier", "pool");
  });

  test("is trained, resumed and described", async () => {
    await succeeds("train", "denoiser", "--out", at("line"), "--resume", "--steps", "6");
    const { out } = await guidestar(["info", at("line")]);
    expect(out).toMatch(/denoiser +conv, [\d,]+ parameters/);
    expect(out).toMatch(/classifier +pool, [\d,]+ parameters/);
    expect(JSON.parse((await guidestar(["info", at("line"), "--json"])).out)).toMatchObject({
      denoiser: { kind: "conv", config: { width: 16, classes: 2, free: true } },
    });
    const dry = await succeeds(
      "train",
      "denoiser",
      ...data.with(1, at("images")),
      "--out",
      at("dry"),
      "--family",
      "conv",
      "--dry-run",
    );
    expect(dry.out).toMatch(/denoiser: preset small, [\d,]+ parameters/);
  });

  test("draws, exports and is measured", async () => {
    const model = ["--model", at("line")];
    await succeeds(
      "sample",
      ...model,
      "--count",
      "2",
      "--cfg-scale",
      "2",
      "--classifier-scale",
      "1",
      "--out",
      at("two.png"),
    );
    await succeeds("sample", "--from", at("two.png"), ...model, "--out", at("again.png"));
    expect((await readFile(at("again.png"))).equals(await readFile(at("two.png")))).toBe(true);
    for (const what of ["denoiser", "classifier", "classifier-gradient", "step"])
      expect((await guidestar(["export", at("line"), "--what", what, "--out", at(`${what}.onnx`)])).code).toBe(0);
    const { out } = await succeeds("nll", at("images"), ...model, "--respacing", "5");
    expect(out).toMatch(/bits per dimension/);
  });

  test("comes from a checkpoint, recognised from its tensors or described", async () => {
    const file = at("line", "denoiser.safetensors");
    await succeedsWithoutThreads("import", file, "--out", at("recognised"));
    const { denoiser } = await loadModel(at("line"));
    const { kind, config } = denoiser!;
    await writeFile(at("config.json"), JSON.stringify({ kind, config }));
    await succeedsWithoutThreads("import", file, "--out", at("described"), "--config", at("config.json"));
    for (const name of ["recognised", "described"])
      expect((await loadModel(at(name))).denoiser).toMatchObject({ kind, config, sha256: denoiser!.sha256 });
    expect(await guidestar(["import", file, "--out", at("no"), "--num_heads", "2"])).toMatchObject({
      code: 2,
      messages: expect.stringContaining("--num_heads describes networks of openai/guided-diffusion"),
    });
    await writeFile(at("config.json"), JSON.stringify({ kind, config: { ...config, width: 1e9 } }));
    expect(await guidestar(["import", file, "--out", at("no"), "--config", at("config.json")])).toMatchObject({
      code: 3,
      messages: expect.stringContaining("config.json: network.config.width"),
    });
    expect(existsSync(at("no"))).toBe(false);
  });
  const succeedsWithoutThreads = async (...argv: string[]) =>
    expect(await guidestar(argv), argv.join(" ")).toMatchObject({ code: 0 });

  test("is refused where it is not known, has no such size or another role", async () => {
    const refusal = async (expected: number, ...argv: string[]) => {
      const { code, messages } = await guidestar([
        "train",
        "denoiser",
        ...data.with(1, at("images")),
        "--out",
        at("no"),
        ...argv,
      ]);
      expect(code).toBe(expected);
      return messages;
    };
    expect(await refusal(2, "--family", "dit")).toContain(
      '--family is "dit", but only the families adm-unet, adm-super-resolution, pixel-transformer, conv are known here. registerFamily',
    );
    expect(await refusal(2, "--family", "pool")).toContain(
      '--family is "pool", a family of classifiers; families of denoisers',
    );
    expect(await refusal(2, "--family", "conv", "--preset", "huge")).toContain(
      '--preset must be one of small but is "huge"',
    );
    expect(await refusal(2, "--family", "adm-super-resolution")).toContain("has no presets");
    const presets = { small: (data: DenoiserDataShape) => ({ ...convDenoiser.presets!.small!(data), output: 7 }) };
    registerFamily({ ...convDenoiser, kind: "unfit", presets });
    expect(await refusal(3, "--family", "unfit")).toContain(
      "denoiser.config gives 7 channels, but images of [1, 8, 8] with a learned variance ask for 2",
    );
    expect(existsSync(at("no"))).toBe(false);
  });
});

describe("registering", () => {
  test("the same family again does nothing; another of its kind is refused, and so is a kind that is no word", () => {
    registerFamily(convDenoiser);
    expect(() => registerFamily({ ...convDenoiser })).toThrow(UsageError);
    expect(() => registerFamily({ ...convDenoiser, kind: "adm-unet" })).toThrow(
      'there is another family of kind "adm-unet"',
    );
    expect(() => registerFamily({ ...convDenoiser, kind: "My Net" })).toThrow(UsageError);
  });

  test("a config that its schema refuses names file and field", async () => {
    const path = at("model", "model.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"width": 16', '"width": 0'));
    const error = await loadModel(at("model")).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ModelError);
    expect((error as Error).message).toMatch(/model\.json: denoiser\.config\.width: /);
    await writeFile(path, text);
  });
});
