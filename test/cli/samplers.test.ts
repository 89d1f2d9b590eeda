import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { readPngText } from "../../src/images/png.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(async () => {
  const { classifier, denoiser, ...facts } = tinyModel();
  await saveModel(at("model"), { ...facts, denoiser, classifier });
  await saveModel(at("own"), {
    ...facts,
    denoiser,
    sampling: { sampler: "dpm++2m-sde", steps: 4, levels: "chain", eta: 0.5 },
  });
});

const sample = (...more: string[]) => guidestar(["sample", "--threads", "1", "--count", "1", ...more]);
const specOf = async (path: string) => JSON.parse(readPngText(await readFile(path)).guidestar!);

describe("samplers on the command line", () => {
  test("a solver with memory, churn and thresholding: the record draws the same picture again, byte for byte", async () => {
    const asked = ["--sampler", "heun", "--steps", "3", "--churn", "2", "--threshold", "99.5"];
    expect(await sample("--model", at("model"), ...asked, "--out", at("first.png"))).toMatchObject({ code: 0 });
    const { sampler, guidance } = await specOf(at("first.png"));
    expect(sampler).toEqual({ kind: "heun", steps: 3, levels: "karras", churn: 2 });
    expect(guidance.threshold).toBe(99.5);
    const again = await guidestar(["sample", "--from", at("first.png"), "--out", at("again.png")]);
    expect(again).toMatchObject({ code: 0 });
    expect(await sameBytes(at("first.png"), at("again.png"))).toBe(true);
  });

  test("what is not asked for is the model's own, and another sampler has its own usual settings", async () => {
    await sample("--model", at("own"), "--out", at("own.png"));
    expect((await specOf(at("own.png"))).sampler).toEqual({
      kind: "dpm++2m-sde",
      steps: 4,
      levels: "chain",
      eta: 0.5,
    });
    await sample("--model", at("own"), "--sampler", "sa-solver", "--out", at("other.png"));
    expect((await specOf(at("other.png"))).sampler).toEqual({
      kind: "sa-solver",
      steps: 12,
      levels: "chain",
      eta: 0,
      order: 1,
    });
    const { out } = await guidestar(["info", at("own")]);
    expect(out).toMatch(/sampling +dpm\+\+2m-sde, 4 steps, levels chain, eta 0.5/);
  });

  test("--respacing keeps the timesteps that the reference keeps, which a number of steps does not", async () => {
    const drawn = ["--model", at("model"), "--sampler", "ddpm"];
    await sample(...drawn, "--respacing", "4", "--out", at("respaced.png"));
    expect((await specOf(at("respaced.png"))).sampler).toEqual({ kind: "ddpm", steps: "4", levels: "chain" });
    await sample(...drawn, "--steps", "4", "--out", at("spread.png"));
    expect(await sameBytes(at("respaced.png"), at("spread.png"))).toBe(false);
  });

  test.each<[string[], RegExp]>([
    [["--respacing", "4", "--steps", "4"], /--steps and --respacing both say which steps/],
    [["--respacing", "all"], /respacing: expected "250", "10,10,20" or "ddim25" but got "all"/],
    [["--sampler", "ddpm", "--churn", "3"], /--churn belongs to euler, heun, but the sampler is ddpm/],
    [["--sampler", "dpm++2m", "--eta", "0.5"], /--eta belongs to ddim, dpm\+\+2m-sde, sa-solver/],
    [["--levels", "karras", "--steps", "ddim10"], /are timesteps of a chain, but levels "karras" lie between them/],
    [
      ["--sampler", "heun", "--steps", "0"],
      /--steps must be a whole number from 1, or timesteps as papers write them .* but is "0"/,
    ],
    [["--threshold", "0"], /--threshold must be a percentile above 0 and at most 100 but is "0"/],
    [["--sampler", "unipc"], /--sampler must be one of ddim, ddpm, euler/],
  ])("%s is refused", async (argv, message) => {
    const { code, messages } = await sample("--model", at("model"), ...argv, "--out", at("refused.png"));
    expect(messages).toMatch(message);
    expect(code).toBe(2);
  });
});
