// Training on data that is hardly enough: one class, one image, images of ten sizes; and students of students. Nothing is half written.
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { encodePng } from "../../src/images/png.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

async function writeImage(side: number, seed: number, ...path: string[]): Promise<void> {
  await mkdir(at(...path.slice(0, -1)), { recursive: true });
  const data = Uint8Array.from({ length: side ** 2 }, (_, p) => (p * (seed + 3)) % 256);
  await writeFile(at(...path), encodePng({ width: side, height: side, channels: 1, data }));
}

beforeAll(async () => {
  for (let i = 0; i < 10; i++) {
    await writeImage(8, i, "one-class", "star", `${i}.png`);
    await writeImage(8, i, "alone", "star", `${i}.png`);
    await writeImage(8 + 2 * i, i, "ten-sizes", i % 2 ? "star" : "moon", `${i}.png`);
  }
  await writeImage(8, 50, "alone", "moon", "0.png");
  await writeImage(8, 50, "one-image", "moon", "0.png");
  await saveModel(at("model"), tinyModel());
});

const line = (network: string, data: string, out: string, ...more: string[]) => [
  ...["train", network, "--data", at(data), "--out", at(out), "--steps", "2", "--batch-size", "2", "--threads", "1"],
  ...["--preset", "tiny", ...more],
];
const isMissing = async (name: string) => expect(readdir(at(name))).rejects.toThrow(/ENOENT/);

describe("one class", () => {
  test("is enough for a denoiser", { timeout: 60_000 }, async () => {
    expect((await guidestar(line("denoiser", "one-class", "drawn"))).code).toBe(0);
    expect((await loadModel(at("drawn"))).classes).toEqual(["star"]);
  });

  test("is nothing to tell apart for a classifier", async () => {
    const refused = await guidestar(line("classifier", "one-class", "never"));
    expect(refused).toMatchObject({ code: 3, out: "" });
    expect(refused.messages).toMatch(
      /expected images of at least 2 classes but there is 1 \(star\); add class folders/,
    );
    await isMissing("never");
  });
});

test("a class of one image is trained as any other", { timeout: 60_000 }, async () => {
  for (const network of ["denoiser", "classifier"]) {
    const done = await guidestar(line(network, "alone", "uneven"));
    expect(done.code, done.messages).toBe(0);
  }
  expect((await loadModel(at("uneven"))).classes).toEqual(["moon", "star"]);
});

test("one image alone is trained too: nothing is said of copies, for there is nothing to compare with", {
  timeout: 60_000,
}, async () => {
  const done = await guidestar(line("denoiser", "one-image", "copy"));
  expect(done.code, done.messages).toBe(0);
  expect(done.messages).not.toContain("copies of training images");
  expect(await readdir(at("copy"))).not.toContain("pairs.png");
});

describe("images of ten sizes", () => {
  test("ask for a size", async () => {
    const refused = await guidestar(line("denoiser", "ten-sizes", "never"));
    expect(refused).toMatchObject({ code: 3, out: "" });
    expect(refused.messages).toMatch(
      /images are of mixed sizes: .*; give a size \(--size\) to resize and centre-crop all of them to/,
    );
    await isMissing("never");
  });

  test("become as large as those of the model that is begun with", { timeout: 60_000 }, async () => {
    const done = await guidestar(line("denoiser", "ten-sizes", "resized", "--from", at("model")));
    expect(done.code, done.messages).toBe(0);
    expect(await loadModel(at("resized"))).toMatchObject({ imageShape: [1, 8, 8], preprocessing: { size: 8 } });
  });
});

test("a student of a student is refused, and its folder not made", async () => {
  const { denoiser, ...facts } = tinyModel();
  const teacher = { name: "digits", sha256: "0".repeat(64) };
  const process = {
    schedule: "edm",
    steps: 40,
    prediction: "edm",
    variance: "fixed-small",
    rescaleTimesteps: false,
  } as const;
  const config = { ...denoiser.record.config, outChannels: 1 };
  const { kind } = denoiser.record;
  const weights = Object.fromEntries(
    Object.entries(denoiser.weights).map(([name, array]) => {
      if (!name.startsWith("out.2")) return [name, array];
      const [rows, ...rest] = array.shape;
      return [name, { ...array, shape: [rows! / 2, ...rest], data: array.data.slice(0, array.data.length / 2) }];
    }),
  );
  await saveModel(at("student"), {
    ...{ classes: facts.classes, imageShape: facts.imageShape, preprocessing: facts.preprocessing },
    denoiser: { record: { kind, config, process: { ...process, consistency: true }, teacher }, weights },
  });
  const data = ["--out", at("never"), "--threads", "1"];
  const refused = await guidestar(["distill", at("student"), ...data]);
  expect(refused, refused.messages).toMatchObject({ code: 3, out: "" });
  expect(refused.messages).toMatch(/this model is a student itself of digits: .*; distill its teacher/);
  await isMissing("never");
});
