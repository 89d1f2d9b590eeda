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

test("images are held out of many that have no test images, and a run goes on as it began", async () => {
  await writeImages(at("many"), 105);
  const options = ["--data", at("many"), "--steps", "4", "--checkpoint-every", "2", "--learning-rate", "0.001"];
  const done = await guidestar([...train("denoiser", "held"), ...options]);
  expect({ code: done.code, messages: done.messages }).toMatchObject({ code: 0 });
  const [, count] = /^held out: (\d+) images, chosen by their content/m.exec(done.messages)!;
  expect(done.messages).toMatch(/^chosen for such images: .*--held-out 0.05( |$)/m);
  expect(done.messages).toContain(`data: ${210 - Number(count)} images`);
  const measures = async (out: string): Promise<number> =>
    (await linesOf(out)).filter(({ heldOut }) => heldOut !== undefined).length;
  expect(await measures("held")).toBe(2);
  const { training } = (await loadModel(at("held"))).denoiser!;
  expect(training).toMatchObject({ heldOut: 0.05, images: 210 - Number(count) });
  const longer = await guidestar(["train", "denoiser", "--out", at("held"), "--resume", "--steps", "6"]);
  expect({ code: longer.code, messages: longer.messages }).toMatchObject({ code: 0 });
  expect(await measures("held")).toBe(3);
  const other = await guidestar(["train", "denoiser", "--out", at("held"), "--resume", "--held-out", "0.1"]);
  expect(other).toMatchObject({
    code: 2,
    messages: expect.stringContaining("--held-out was 0.05 when this run began"),
  });

  // As runs of versions that held nothing out.
  expect((await guidestar([...train("classifier", "whole"), ...options, "--held-out", "0"])).code).toBe(0);
  const again = await guidestar(["train", "classifier", "--out", at("whole"), "--resume", "--steps", "6"]);
  expect(again).toMatchObject({ code: 0, messages: expect.stringContaining("data: 210 images") });
  expect(await measures("whole")).toBe(0);
  const tested = await guidestar([...train("denoiser", "none"), "--data", at("split"), "--held-out", "0.1"]);
  expect(tested).toMatchObject({ code: 2, messages: expect.stringContaining("these have 12, which are measured") });
});

test("--until good ends once the held-out loss stops to fall, with a rate of 0, and goes on where it was stopped", async () => {
  // With such a rate the loss stays what it is.
  const rate = 1e-9;
  const learning = ["--learning-rate", String(rate), "--warm-up-steps", "0"];
  const good = ["--until", "good", "--minutes", "1", "--checkpoint-every", "3", ...learning];
  const wrong = await guidestar([...train("denoiser", "none"), ...good]);
  expect(wrong).toMatchObject({ code: 2, messages: expect.stringContaining("--held-out 0.1") });
  const decay = await guidestar([...train("denoiser", "none"), "--data", at("split"), ...good, "--decay", "cosine"]);
  expect(decay).toMatchObject({ code: 2, messages: expect.stringContaining("decay is cosine") });

  const done = await guidestar([...train("denoiser", "good"), "--data", at("split"), ...good]);
  expect({ code: done.code, messages: done.messages }).toMatchObject({ code: 0 });
  expect(done.messages).toMatch(/training: until it is good, at most 60 s/);
  const [, from] = /^good: .*; from step (\d+) on/m.exec(done.messages)!;
  const steps = (await linesOf("good")).filter(({ metrics }) => metrics);
  const last = steps.at(-1);
  expect(last).toMatchObject({ progress: 1, learningRate: 0 });
  expect(last.seconds).toBeLessThan(50);
  const before = steps.filter(({ step }) => step <= Number(from));
  expect(new Set(before.map(({ learningRate }) => learningRate))).toEqual(new Set([rate]));
  expect(before.at(-1).seconds).toBeGreaterThan(6);
  const after = steps.find(({ step }) => step === Number(from) + 1);
  expect(after.progress).toBeGreaterThan(5 / 6);
  expect((await loadModel(at("good"))).denoiser!.training).toMatchObject({ until: "good", decay: "late", minutes: 1 });
  const over = await guidestar(["train", "denoiser", "--out", at("good"), "--resume"]);
  expect(over.code).toBe(0);
  expect((await linesOf("good")).filter(({ metrics }) => metrics)).toHaveLength(steps.length);
}, 240_000);
