import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { ModelToSave } from "../../src/checkpoint/model.ts";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { encodePng } from "../../src/images/png.ts";
import type { UNetConfig } from "../../src/models/adm/config.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

/** The same network, which is told no class. */
function withoutClasses({
  denoiser,
  classifier: _,
  ...model
}: Pick<ModelToSave, "classes" | "imageShape" | "preprocessing" | "denoiser" | "classifier">): ModelToSave {
  const { record, weights } = denoiser!;
  const { numClasses: __, nullLabel: ___, ...config } = record.config as UNetConfig;
  const { "label_emb.weight": ____, ...others } = weights;
  return { ...model, classes: [], denoiser: { record: { ...record, config }, weights: others } };
}

beforeAll(async () => {
  await saveModel(at("free"), withoutClasses(tinyModel()));
  await saveModel(at("large"), withoutClasses(tinyUpsampler()));
  await mkdir(at("pictures"));
  await writeFile(
    at("pictures", "a.png"),
    encodePng({ width: 8, height: 8, channels: 1, data: new Uint8Array(64).fill(99) }),
  );
});

const succeeds = async (...argv: string[]) => {
  const outcome = await guidestar([...argv, "--threads", "1"]);
  expect(outcome, argv.join(" ")).toMatchObject({ code: 0 });
  return outcome;
};

test("a model without classes draws, alone and enlarged, and the same again from the picture", async () => {
  const sample = ["sample", "--model", at("free"), "--steps", "2", "--count", "3"];
  for (const [name, more] of [
    ["alone", []],
    ["cascade", ["--upsampler", at("large"), "--upsampler-steps", "2"]],
  ] as const) {
    const { out } = await succeeds(...sample, ...more, "--out", at(`${name}.png`), "--json");
    expect(JSON.parse(out).classes).toEqual([null, null, null]);
    await succeeds("sample", "--from", at(`${name}.png`), "--out", at(`${name}-again.png`));
    expect(await sameBytes(at(`${name}.png`), at(`${name}-again.png`))).toBe(true);
  }
  const refused = await guidestar([...sample, "--class", "1", "--out", at("refused.png")]);
  expect(refused).toMatchObject({
    code: 2,
    messages: expect.stringContaining('has no classes, so "1" cannot be asked for'),
  });
});

test("a model without classes encodes and decodes, measures, and is described and exported", async () => {
  await succeeds("encode", at("pictures", "a.png"), "--model", at("free"), "--steps", "3", "--out", at("latents.npz"));
  await succeeds("sample", "--model", at("free"), "--from-latents", at("latents.npz"), "--out", at("decoded.png"));
  await succeeds(
    "sample",
    "--model",
    at("free"),
    ...["--init", at("pictures", "a.png"), "--strength", "0.6", "--steps", "3", "--out", at("changed.png")],
  );
  await succeeds("nll", at("pictures"), "--model", at("free"), "--steps", "3");
  expect((await guidestar(["info", at("free")])).code).toBe(0);
  expect((await guidestar(["export", at("free"), "--what", "step", "--out", at("step.onnx")])).code).toBe(0);
});
