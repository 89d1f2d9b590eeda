import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelFromFiles } from "../../src/checkpoint/model-files.ts";
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
