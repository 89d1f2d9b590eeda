import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { afterAll, beforeAll, expect, test } from "vitest";
import { filesOfModel, modelFromFiles, modelFromZip, zipModel } from "../../src/checkpoint/model-files.ts";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { ModelError } from "../../src/errors.ts";
import { tinyModel } from "../support/tiny-model.ts";

let folder: string;
const files: Record<string, Uint8Array<ArrayBuffer>> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-files-"));
  await saveModel(folder, tinyModel());
  for (const name of ["model.json", "denoiser.safetensors", "classifier.safetensors"])
    files[name] = new Uint8Array(await readFile(join(folder, name)));
});
afterAll(() => rm(folder, { recursive: true }));

test("the contents of a model's files make the model that loading its folder does", async () => {
  const model = await modelFromFiles(files, folder);
  expect(model).toEqual(await loadModel(folder));
  const text = new TextDecoder().decode(files["model.json"]);
  expect(await modelFromFiles({ ...files, "model.json": text }, folder)).toEqual(model);
});

test("missing and damaged contents are refused by name", async () => {
  const { "classifier.safetensors": classifier, ...rest } = files;
  await expect(modelFromFiles({})).rejects.toThrow(ModelError);
  await expect(modelFromFiles({})).rejects.toThrow(
    "model: expected the contents of model.json but only these came: none",
  );
  await expect(modelFromFiles(rest)).rejects.toThrow(/contents of classifier\.safetensors .* model\.json, denoiser/);
  const damaged = classifier!.slice();
  damaged[damaged.length - 1]! ^= 1;
  await expect(modelFromFiles({ ...rest, "classifier.safetensors": damaged }, "mine")).rejects.toThrow(
    /mine\/classifier\.safetensors: its SHA-256 is/,
  );
  await expect(modelFromFiles({ ...files, "denoiser.safetensors": "text" })).rejects.toThrow(/expected bytes/);
});

test("the files of a model are those that saving it writes, byte for byte", async () => {
  for (const model of [tinyModel(), await loadModel(folder)]) {
    const { "model.json": record, ...weights } = await filesOfModel(model);
    const { "model.json": expected, ...rest } = files;
    expect(Object.keys(weights)).toEqual(Object.keys(rest));
    for (const [name, bytes] of Object.entries(weights)) expect(Buffer.compare(bytes, rest[name]!), name).toBe(0);
    const parsed = (json: Uint8Array | undefined) => JSON.parse(new TextDecoder().decode(json));
    expect(parsed(record)).toEqual(parsed(expected));
  }
});

test("a zip of a model is a model, in memory and on the disk, and the same bytes each time", async () => {
  const { source: _, ...model } = await loadModel(folder);
  const zip = await zipModel(tinyModel());
  expect(Buffer.compare(await zipModel(tinyModel()), zip)).toBe(0);
  expect(await modelFromZip(zip, "a.zip")).toEqual({ ...model, source: "a.zip" });
  const path = join(folder, "model.zip");
  await writeFile(path, zip);
  expect(await loadModel(path)).toEqual({ ...model, source: path });
  // Packed by another program, with the folder itself and what macOS adds.
  const inFolder = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`tiny/${name}`, bytes]));
  const other = zipSync({
    ...inFolder,
    "__MACOSX/tiny/model.json": new Uint8Array(3),
    "tiny/.DS_Store": new Uint8Array(3),
  });
  expect(await modelFromZip(new Uint8Array(other), "b")).toEqual({ ...model, source: "b" });
});

test("float16 halves a zip's weights, and rounds each once", async () => {
  const model = tinyModel();
  const half = await modelFromZip(await zipModel(model, { storage: "float16" }));
  const [values, rounded] = [model, half].map((each) =>
    Object.values("weights" in each ? each.weights.denoiser! : each.denoiser.weights).flatMap(({ data }) => [...data]),
  );
  const apart = values!.map((value, i) => Math.abs(value - rounded![i]!) / Math.max(Math.abs(value), 2 ** -14));
  expect(Math.max(...apart)).toBeGreaterThan(0);
  expect(Math.max(...apart)).toBeLessThanOrEqual(2 ** -11);
});

test("a zip that is no model folder, or several, or damaged, is refused", async () => {
  const zip = (contents: Record<string, Uint8Array>) => new Uint8Array(zipSync(contents));
  await expect(modelFromZip(zip({ "a.txt": new Uint8Array(1) }), "z")).rejects.toThrow(
    "z: expected a zip of one model folder, but no model.json is in it",
  );
  const two = { "a/model.json": files["model.json"]!, "b/model.json": files["model.json"]! };
  await expect(modelFromZip(zip(two), "z")).rejects.toThrow("there are 2: a/model.json, b/model.json");
  const whole = await zipModel(tinyModel());
  await expect(modelFromZip(whole.subarray(0, whole.length / 2), "z")).rejects.toThrow(/z: not a whole zip archive/);
  const changed = whole.slice();
  changed[Math.floor(changed.length / 2)]! ^= 1;
  await expect(modelFromZip(changed, "z")).rejects.toThrow(/z: ".*" ?: size or checksum differ/);
  await expect(modelFromZip(new Uint8Array(10), "z")).rejects.toThrow(ModelError);
});
