import { beforeAll, describe, expect, test } from "vitest";
import { flowProcess } from "../../src/diffusion/process-config.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";
import { imagesToLearn, usualTraining } from "../../src/recipes/usual.ts";
import { guidestar, temporaryFolder, writeImages } from "../cli/world.ts";

const about = (images: number, side: number, channels = 3) => ({
  images,
  imageShape: [channels, side, side] as const,
  deviation: 0.4,
});

describe("what is usual for images", () => {
  test.each([
    [200, 32, 20],
    [300, 32, 20],
    [1976, 32, 45],
    [50_000, 32, 240],
    [300, 64, 90],
    [300, 16, 10],
    [1_000_000, 256, 480],
  ])("%i of %ix: as long as they need", (images, side, minutes) => {
    expect(usualTraining("denoiser", about(images, side)).length).toEqual({ minutes });
  });

  test("is a network by the images' sides and EDM's noise, where these are not tiny", () => {
    expect(usualTraining("denoiser", about(500, 32))).toMatchObject({
      ...{ preset: "deep", batchSize: 32 },
      process: { schedule: "edm", prediction: "edm", sigmaData: 0.4 },
    });
    expect(usualTraining("denoiser", about(500, 33)).preset).toBe("small");
    expect(usualTraining("denoiser", about(500, 64)).preset).toBe("patch-small");
    expect(usualTraining("denoiser", about(500, 8))).toMatchObject({
      ...{ preset: "small", batchSize: 64, length: { steps: 20_000 } },
      process: { schedule: "cosine", prediction: "eps", variance: "learned-range" },
    });
    const classifier = usualTraining("classifier", about(1976, 32));
    expect(classifier).toMatchObject({ length: { minutes: 15 }, process: { schedule: "edm", sigmaData: 0.4 } });
  });

  test("depends on the deviation of the images' values", () => {
    const images = new Uint8Array(3 * 2 * 2 * 2).map((_, i) => (i % 2 === 0 ? 0 : 255));
    const split = { count: 2, shape: [3, 2, 2] as const, labels: new Int32Array(2), images };
    expect(imagesToLearn(split)).toEqual({ images: 2, imageShape: [3, 2, 2], deviation: 1 });
    const grey = { ...split, images: new Uint8Array(24).fill(64) };
    expect(imagesToLearn(grey).deviation).toBeCloseTo(Math.abs((64 / 255) * 2 - 1), 2);
  });

  test("gives way to each option alone", () => {
    const images = { count: 4, shape: [3, 16, 16] as const, labels: new Int32Array(4), images: new Uint8Array(3072) };
    const dataset = { classes: ["a"], imageShape: images.shape, train: images, size: undefined };
    const { settled } = denoiserRecipe({ dataset });
    expect(settled).toMatchObject({ preset: "deep", process: "edm", sigmaData: 1, batchSize: 32, minutes: 10 });
    const other = denoiserRecipe({ dataset, preset: "tiny", process: flowProcess(), batchSize: 5, steps: 7 });
    expect(other.settled).toEqual({
      ...{ preset: "tiny", process: "flow", sigmaData: undefined, batchSize: 5, learningRate: 1e-3 },
      ...{ steps: 7, minutes: undefined, warmUpSteps: 0, heldOut: 0 },
    });
    expect(denoiserRecipe({ dataset, minutes: 3 }).settled).toMatchObject({ minutes: 3, steps: undefined });
  });
});

describe("the command line", () => {
  const folder = temporaryFolder();
  beforeAll(() => writeImages(`${folder.path}/images`));

  test("says what it chose as the options that would choose it, and goes on with the same", {
    timeout: 60_000,
  }, async () => {
    const out = `${folder.path}/out`;
    const given = ["--data", `${folder.path}/images`, "--size", "16", "--minutes", "0.01", "--threads", "1"];
    const first = await guidestar(["train", "denoiser", "--out", out, ...given]);
    expect(first.code).toBe(0);
    const chosen = /^chosen for such images: (.*)$/m.exec(first.messages)?.[1];
    expect(chosen).toMatch(/^--preset deep --process edm --sigma-data 0\.\d+ --batch-size 32 --learning-rate 0\.001$/);
    const again = await guidestar(["train", "denoiser", "--out", out, "--resume", "--minutes", "0.02"]);
    expect(again.code).toBe(0);
    expect(again.messages).not.toContain("chosen for");
    const asked = await guidestar(["train", "denoiser", "--out", `${folder.path}/b`, ...given, ...chosen!.split(" ")]);
    expect(asked.code).toBe(0);
    expect(asked.messages).not.toContain("chosen for");
  });

  test("leaves the noise of earlier options what it was", async () => {
    const given = ["--data", `${folder.path}/images`, "--size", "16", "--minutes", "1", "--threads", "1", "--dry-run"];
    const dry = await guidestar(["train", "denoiser", "--out", `${folder.path}/none`, ...given, "--prediction", "v"]);
    expect(dry.out).toContain("cosine schedule, T = 1000");
  });
});
