import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { guidestar, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const tiny = ["--preset", "tiny", "--batch-size", "4", "--threads", "1"];
const train = (network: "denoiser" | "classifier", out: string, ...more: string[]) => [
  ...["train", network, "--data", at("images"), "--out", at(out), ...tiny, ...more],
];
const linesOf = async (out: string) =>
  (await readFile(at(out, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  await writeImages(at("images"));
  await cp(at("images"), at("split", "train"), { recursive: true });
  await cp(at("images"), at("split", "test"), { recursive: true });
});

test("--minutes ends in time with a rate of 0, and says so before; it may be made longer", async () => {
  const done = await guidestar(train("denoiser", "minutes", "--minutes", "0.05"));
  expect(done.code).toBe(0);
  expect(done.messages).toMatch(/training: 3 s, in steps of 4 images/);
  const lines = await linesOf("minutes");
  expect(lines.at(-1)).toMatchObject({ progress: 1, learningRate: 0, step: lines.length, steps: lines.length });
  expect(lines.at(-1).seconds).toBeLessThan(6);
  expect((await loadModel(at("minutes"))).denoiser!.training).toMatchObject({ minutes: 0.05, step: lines.length });

  const longer = await guidestar(["train", "denoiser", "--out", at("minutes"), "--resume", "--minutes", "0.08"]);
  expect(longer.code).toBe(0);
  const all = await linesOf("minutes");
  expect(all.length).toBeGreaterThan(lines.length);
  expect(all[lines.length].progress).toBeLessThan(0.8);
  expect(all.at(-1)).toMatchObject({ progress: 1, learningRate: 0 });
});

test("a classifier takes a budget too, and a dry run counts its steps", async () => {
  const done = await guidestar(train("classifier", "classifier", "--minutes", "0.02"));
  expect(done.code).toBe(0);
  const dry = await guidestar(train("classifier", "none", "--minutes", "30", "--dry-run"));
  expect(dry.out).toMatch(/training: 30 min/);
  expect(dry.out).toMatch(/time: about 30 min, about [\d,]+ steps/);
  const wrong = await guidestar(train("classifier", "none", "--minutes", "-1"));
  expect(wrong).toMatchObject({ code: 2, messages: expect.stringMatching(/--minutes must be/) });
  expect(await readdir(folder.path)).not.toContain("none");
});

test("test images are measured at each checkpoint, and the model that is kept is the best by them", async () => {
  const options = ["--data", at("split"), "--steps", "12", "--checkpoint-every", "2", "--learning-rate", "0.05"];
  const done = await guidestar([...train("denoiser", "best"), ...options]);
  expect(done.code).toBe(0);
  const measured = (await linesOf("best")).filter(({ heldOut }) => heldOut !== undefined);
  expect(measured.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12]);
  const least = measured.reduce((best, line) => (line.heldOut < best.heldOut ? line : best));
  const { training } = (await loadModel(at("best"))).denoiser!;
  expect(training).toMatchObject({ step: least.step });
  expect(done.messages).toContain(`held-out loss at step ${least.step}: `);
  if (least.step < 12) expect(done.messages).toContain(`the model is that of step ${least.step}`);

  const last = await guidestar([...train("denoiser", "last"), ...options, "--keep", "last"]);
  expect(last.code).toBe(0);
  expect((await loadModel(at("last"))).denoiser!.training).toMatchObject({ step: 12 });
});
