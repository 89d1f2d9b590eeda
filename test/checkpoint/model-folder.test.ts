import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { checkSameNoise } from "../../src/checkpoint/model.ts";
import { loadModel, saveModel, writeNetworks } from "../../src/checkpoint/model-folder.ts";
import { ModelError } from "../../src/errors.ts";
import { stage } from "../../src/files/atomic.ts";
import { hashOf, withFile } from "../../src/files/file-source.ts";
import { inParts, readSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-model-"));
});
afterEach(() => rm(folder, { recursive: true }));

const { denoiser, classifier, ...facts } = tinyModel();
const file = (name: string): string => join(folder, name);

/** Changes model.json by hand. */
async function edit(change: (record: Record<"denoiser", Record<string, object>>) => unknown): Promise<void> {
  const record = JSON.parse(await readFile(file("model.json"), "utf8"));
  change(record);
  await writeFile(file("model.json"), JSON.stringify(record));
}

const upsampling = (denoiser: Record<string, object>, lowResolution: number) =>
  Object.assign(denoiser, { kind: "adm-super-resolution", config: { ...denoiser.config, lowResolution } });

/** Changes the denoiser's tensors, hash and all, so that only their content can be refused. */
async function retensor(change: (tensors: Record<string, NDArray<"float32">>) => unknown): Promise<void> {
  const { tensors } = readSafetensors(await readFile(file("denoiser.safetensors")));
  change(tensors);
  await writeFile(file("denoiser.safetensors"), writeSafetensors(tensors));
  const hash = withFile(file("denoiser.safetensors"), hashOf);
  await edit(({ denoiser }) => Object.assign(denoiser, { sha256: hash }));
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(ModelError);
  return (error as Error).message;
}

/** Saves two models in turn into a folder, as long as it is not told to end; says how often. */
const writer = `
  const [, folder] = process.argv;
  const { saveModel } = await import(${JSON.stringify(new URL("../../src/checkpoint/model-folder.ts", import.meta.url).href)});
  const { tinyModel, randomWeights } = await import(${JSON.stringify(new URL("../support/tiny-model.ts", import.meta.url).href)});
  const { denoiser, classifier, ...facts } = tinyModel();
  const weights = [1, 2].map((seed) => randomWeights("denoiser", denoiser.record, seed));
  let ended = false;
  process.stdin.on("end", () => (ended = true)).resume();
  for (let n = 0; !ended; n++) {
    await saveModel(folder, { ...facts, denoiser: { ...denoiser, weights: weights[n % 2] } });
    console.log(n);
  }`;

test("while another process writes a model, the old one or the new one is loaded, never parts of both", async () => {
  await saveModel(folder, { ...facts, denoiser });
  const args = ["--import", "tsx", "--input-type=module", "-e", writer, folder];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "exit");
  let written = 0;
  child.stdout.on("data", (text: Buffer) => {
    written += text.toString().split("\n").length - 1;
  });
  const seen = new Set<number>();
  let loaded = 0;
  for (; loaded < 100 || written < 100; loaded++) {
    const { weights } = await loadModel(folder);
    seen.add(Object.values(weights.denoiser!)[0]!.data[0]!);
    // Messages of the other process come between.
    await setImmediate();
  }
  child.stdin.end();
  expect((await ended)[0]).toBe(0);
  expect(seen.size).toBe(2);
});

describe("saving", () => {
  test("and loading give the model back", async () => {
    await saveModel(folder, { ...facts, denoiser, classifier });
    const loaded = await loadModel(folder);
    expect(loaded).toMatchObject({
      ...facts,
      source: folder,
      denoiser: denoiser.record,
      classifier: classifier.record,
    });
    expect(loaded.weights).toEqual({ denoiser: denoiser.weights, classifier: classifier.weights });
    expect((await readdir(folder)).sort()).toEqual(["classifier.safetensors", "denoiser.safetensors", "model.json"]);
  });

  test("a classifier joins the denoiser that is there", async () => {
    await saveModel(folder, { ...facts, denoiser, sampling: { steps: 7 } });
    await saveModel(folder, { ...facts, classifier });
    const loaded = await loadModel(folder);
    expect(Object.keys(loaded.weights)).toEqual(["denoiser", "classifier"]);
    expect(loaded.sampling).toEqual({ steps: 7 });
  });

  test("networks of other classes cannot join, and nothing is written", async () => {
    await saveModel(folder, { ...facts, denoiser });
    const before = await readFile(file("model.json"), "utf8");
    const joining = saveModel(folder, { ...facts, classes: ["a", "b", "c"], classifier });
    expect(await refusal(joining)).toMatch(
      /model\.json: the denoiser there has classes .*circle.*choose another folder/,
    );
    expect(await readFile(file("model.json"), "utf8")).toBe(before);
    expect(await readdir(folder)).not.toContain("classifier.safetensors");
  });

  test("float16 takes half the space and is close", async () => {
    await saveModel(folder, { ...facts, denoiser });
    const whole = (await readFile(file("denoiser.safetensors"))).length;
    await saveModel(folder, { ...facts, denoiser }, { storage: "float16" });
    const half = (await readFile(file("denoiser.safetensors"))).length;
    expect(half).toBeLessThan(0.75 * whole);
    const { weights } = await loadModel(folder);
    for (const [key, { data }] of Object.entries(denoiser.weights))
      expect(
        data.every((value, i) => Math.abs(value - weights.denoiser![key]!.data[i]!) <= 5e-4 * Math.abs(value) + 1e-7),
      ).toBe(true);
  });

  test("a crash after model.json is renamed loses nothing: the new weights lie beside the old", async () => {
    await saveModel(folder, { ...facts, denoiser });
    const old = await readFile(file("denoiser.safetensors"));
    const changed = Object.fromEntries(
      Object.entries(denoiser.weights).map(([key, { shape, data }]) => [
        key,
        float32(
          shape,
          data.map((x) => 2 * x),
        ),
      ]),
    );
    await saveModel(folder, { ...facts, denoiser: { ...denoiser, weights: changed } });
    await rename(file("denoiser.safetensors"), file("denoiser.safetensors.new"));
    await writeFile(file("denoiser.safetensors"), old);
    expect((await loadModel(folder)).weights.denoiser).toEqual(changed);
    // Nor does the next saving, which writes to where they lie: they go to their place first.
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(saveModel(folder, { ...facts, denoiser }, { signal })).rejects.toThrow("enough");
    expect((await readdir(folder)).sort()).toEqual(["denoiser.safetensors", "model.json"]);
    expect((await loadModel(folder)).weights.denoiser).toEqual(changed);
  });

  test("where model.json cannot be made, no weights stay either", async () => {
    const networks = { denoiser: inParts(denoiser.weights) };
    const record = () => {
      throw new Error("no record");
    };
    await expect(writeNetworks(file("new"), networks, record, {})).rejects.toThrow("no record");
    expect(await readdir(folder)).toEqual([]);
  });

  test("what ended processes left half-written is removed, and what others write now stays", async () => {
    await stage(file("model.json"), "at work");
    const [atWork] = await readdir(folder);
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    const abandoned = atWork!.replace("model.json", "denoiser.safetensors.new").replace(`-${process.pid}-`, `-${pid}-`);
    await writeFile(file(abandoned), "abandoned");
    await saveModel(folder, { ...facts, denoiser });
    expect((await readdir(folder)).sort()).toEqual(["denoiser.safetensors", "model.json", atWork]);
  });

  test("what could not be loaded again is refused before anything is made of its sizes", async () => {
    const config = { ...denoiser.record.config, numResBlocks: 1e9 };
    const model = { ...facts, denoiser: { ...denoiser, record: { ...denoiser.record, config } } };
    expect(await refusal(saveModel(folder, model))).toContain(`${file("model.json")}: denoiser.config.numResBlocks`);
    expect(await readdir(folder)).toEqual([]);
  });

  test("weights that are not finite are refused before anything is written", async () => {
    const [key, { shape, data }] = Object.entries(denoiser.weights)[0]!;
    const weights = { ...denoiser.weights, [key]: float32(shape, data.with(2, Number.NaN)) };
    expect(await refusal(saveModel(folder, { ...facts, denoiser: { ...denoiser, weights } }))).toMatch(
      /holds NaN at 2/,
    );
    expect(await readdir(folder)).toEqual([]);
  });
});

test("an upsampler comes back as one", async () => {
  const { denoiser, ...facts } = tinyUpsampler();
  await saveModel(folder, { ...facts, denoiser });
  const loaded = await loadModel(folder);
  expect(loaded.denoiser).toMatchObject(denoiser.record);
  expect(loaded.weights).toEqual({ denoiser: denoiser.weights });
});

describe("a folder of the first format", () => {
  const old = (name: string): string => fileURLToPath(new URL(`../fixtures/v1/${name}`, import.meta.url));
  const written = async (path: string) => JSON.parse(await readFile(join(path, "model.json"), "utf8"));

  test("says by kind and config what networks it has, and processes by today's names", async () => {
    const [model, edm, upsampler] = await Promise.all(
      ["model", "edm", "upsampler"].map((name) => loadModel(old(name))),
    );
    expect(model).toMatchObject({ format: "guidestar-model-2", denoiser: { kind: "adm-unet" } });
    const before = await written(old("model"));
    const process = { ...before.denoiser.process, variance: "learned-range" };
    expect(model!.denoiser).toEqual({ kind: "adm-unet", ...before.denoiser, process });
    expect(model!.classifier).toEqual({ kind: "adm-classifier", ...before.classifier });
    expect(edm!.denoiser!.process).toMatchObject({ schedule: "edm", sigmaData: 0.4, sigmaRange: [0.01, 50] });
    const { lowResolution, config, ...rest } = (await written(old("upsampler"))).denoiser;
    expect(upsampler!.denoiser).toEqual({
      kind: "adm-super-resolution",
      config: { ...config, lowResolution },
      ...rest,
      process: { ...rest.process, variance: "learned-range" },
    });
  });

  test("is of the present one after a network was saved into it", async () => {
    await cp(old("model"), folder, { recursive: true });
    const { denoiser: _, weights, classifier, source: __, format: ___, ...about } = await loadModel(folder);
    await saveModel(folder, { ...about, classifier: { record: classifier!, weights: weights.classifier! } });
    expect(await written(folder)).toMatchObject({ format: "guidestar-model-2", denoiser: { kind: "adm-unet" } });
    expect((await loadModel(folder)).weights).toEqual(weights);
  });

  test("is refused where what would be upgraded is no network", async () => {
    const damaged = { ...(await written(old("edm"))), denoiser: "none" };
    await writeFile(file("model.json"), JSON.stringify(damaged));
    expect(await refusal(loadModel(folder))).toMatch(/model\.json: denoiser: /);
  });
});

describe("loading refuses", () => {
  beforeEach(() => saveModel(folder, { ...facts, denoiser, classifier }).then(() => undefined));

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ["a folder without a model", () => rm(file("model.json")), /no model\.json/],
    ["text that is not JSON", () => writeFile(file("model.json"), '{"format": "guide'), /model\.json: not JSON/],
    [
      "a newer format",
      () => edit((r) => Object.assign(r, { format: "guidestar-model-9" })),
      /format: expected "guidestar-model-2"/,
    ],
    ["unknown fields", () => edit(({ denoiser }) => Object.assign(denoiser, { extra: 1 })), /denoiser: .*extra/],
    [
      "a schedule that does not exist",
      () => edit(({ denoiser }) => Object.assign(denoiser.process!, { schedule: "square" })),
      /denoiser\.process\.schedule: .*"linear"\|"cosine"/,
    ],
    [
      "files outside of the folder",
      () => edit(({ denoiser }) => Object.assign(denoiser, { file: "../denoiser.safetensors" })),
      /denoiser\.file: expected NAME\.safetensors/,
    ],
    [
      "networks of other images",
      () => edit((r) => Object.assign(r, { imageShape: [3, 8, 8] })),
      /denoiser\.config is for images of \[1, 8, 8\], but the model's are \[3, 8, 8\]/,
    ],
    [
      "class names that are too few",
      () => edit((r) => Object.assign(r, { classes: ["a"] })),
      /denoiser\.config is for 3 classes, but the model has 1 class name/,
    ],
    [
      "an upsampler's record for the weights of a plain denoiser",
      () => edit(({ denoiser }) => upsampling(denoiser, 4)),
      /"input_blocks\.0\.0\.weight" is \[8, 1, 3, 3\] but the network in model\.json has \[8, 2, 3, 3\]/,
    ],
    [
      "an upsampler that would make images smaller",
      () => edit(({ denoiser }) => upsampling(denoiser, 9)),
      /denoiser\.config enlarges images of side 9, but .* side 8/,
    ],
    [
      "a family that is not known",
      () => edit(({ denoiser }) => Object.assign(denoiser, { kind: "dit" })),
      /model\.json: denoiser\.kind is "dit", but only the families adm-unet, adm-super-resolution, pixel-transformer are known .*registerFamily/,
    ],
    [
      "a family of other networks",
      () => edit(({ denoiser }) => Object.assign(denoiser, { kind: "adm-classifier" })),
      /model\.json: denoiser\.kind is "adm-classifier", a family of classifiers; families of denoisers are adm-unet/,
    ],
    ["a missing file", () => rm(file("denoiser.safetensors")), /denoiser\.safetensors: model\.json names this file/],
    ["a damaged file", () => writeFile(file("denoiser.safetensors"), "x"), /SHA-256/],
    ["a missing parameter", () => retensor((t) => delete t["out.2.bias"]), /missing: out\.2\.bias/],
    ["an unknown parameter", () => retensor((t) => Object.assign(t, { more: float32([1]) })), /unknown: more/],
    [
      "another shape",
      () => retensor((t) => Object.assign(t, { "out.2.bias": float32([3]) })),
      /"out\.2\.bias" is \[3\] but the network in model\.json has \[2\]/,
    ],
    [
      "infinite weights",
      () => retensor((t) => Object.assign(t, { "out.2.bias": float32([2], [0, Infinity]) })),
      /"out\.2\.bias" holds Infinity at 1/,
    ],
  ])("%s", async (_, damage, message) => {
    await damage();
    expect(await refusal(loadModel(folder))).toMatch(message);
  });

  test("names that are neither folder nor bundled", async () => {
    expect(await refusal(loadModel("no-such-model"))).toMatch(/no-such-model: there is no such model/);
    expect((await loadModel("models/digits/model.json")).classes).toHaveLength(10);
  });
});

test("classifier and denoiser must know the same noise", () => {
  const saved = { file: "x.safetensors", sha256: "", parameters: 1 };
  const process = { ...classifier.record.process, schedule: "linear", steps: 1000 } as const;
  const check = () =>
    checkSameNoise({
      source: "models/photos",
      denoiser: { ...denoiser.record, ...saved, process: { ...denoiser.record.process, steps: 1000 } },
      classifier: { ...classifier.record, ...saved, process },
    });
  expect(check).toThrow(
    'models/photos/model.json: classifier was trained for schedule "linear", T = 1000, but the denoiser uses "cosine", T = 1000. ' +
      "Train the classifier with --schedule cosine",
  );
});
