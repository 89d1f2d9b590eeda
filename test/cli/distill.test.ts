import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder, writeImages } from "./world.ts";

const temporary = temporaryFolder();
const path = (name: string): string => join(temporary.path, name);
const quick = ["--batch-size", "4", "--uses", "1", "--teacher-steps", "2", "--threads", "1"];
const draw = (name: string, ...options: string[]) =>
  guidestar(["sample", "--model", path("student"), "--count", "4", "--out", path(name), ...options]);

beforeAll(async () => {
  await saveModel(path("teacher"), tinyModel());
  await saveModel(path("large"), tinyUpsampler());
  await writeImages(path("images"), 2);
  const { code, messages } = await guidestar([
    "distill",
    path("teacher"),
    "--out",
    path("student"),
    "--steps",
    "3",
    "--max-cfg-scale",
    "3",
    ...quick,
  ]);
  expect(code, messages).toBe(0);
});

describe("a student", () => {
  test("says whose it is, and what it learnt", async () => {
    const { out } = await guidestar(["info", path("student")]);
    const teacher = await loadModel(path("teacher"));
    expect(out).toContain(`student of ${path("teacher")} (denoiser ${teacher.denoiser!.sha256.slice(0, 12)})`);
    expect(out).toContain("is told the scale of guidance, from 1 to 3");
    expect(out).toContain("sampling    consistency, 2 steps, levels karras, classifier-free 2");
  });

  test("draws in as many steps as asked, and again from its picture", async () => {
    for (const steps of ["1", "2", "4"])
      expect(await draw(`s${steps}.png`, "--steps", steps)).toMatchObject({ code: 0 });
    const again = await guidestar([
      "sample",
      "--model",
      path("student"),
      "--from",
      path("s2.png"),
      "--out",
      path("again.png"),
    ]);
    expect(again.code, again.messages).toBe(0);
    expect(await sameBytes(path("s2.png"), path("again.png"))).toBe(true);
    expect(await sameBytes(path("s2.png"), path("s1.png"))).toBe(false);
  });

  test("is told class and scale: other ones are other pictures", async () => {
    await draw("plain.png", "--class", "star", "--cfg-scale", "1");
    await draw("strong.png", "--class", "star", "--cfg-scale", "3");
    await draw("circle.png", "--class", "circle", "--cfg-scale", "1");
    expect(await sameBytes(path("plain.png"), path("strong.png"))).toBe(false);
    expect(await sameBytes(path("plain.png"), path("circle.png"))).toBe(false);
  });

  test("starts from a picture", async () => {
    const changed = await draw(
      "changed.png",
      "--class",
      "circle",
      "--init",
      path("images/dark/0.png"),
      "--strength",
      "0.5",
    );
    expect(changed.code, changed.messages).toBe(0);
  });

  test.each([
    [["--cfg-scale", "4"], "cfgScale must be from 1 to 3"],
    [["--cfg-scale", "0.5"], "cfgScale must be from 1 to 3"],
    [["--sampler", "ddim"], "use the sampler consistency"],
    [["--unconditional"], "need a denoiser with a null label"],
    [["--cfg-rescale", "0.5"], "predicts once"],
    [["--apg-eta", "0", "--cfg-scale", "3"], "predicts once"],
    [["--cfg-plus-plus"], "ddim"],
  ])("refuses %j", async (options, message) => {
    const { code, messages } = await draw("none.png", ...options);
    expect(messages).toContain(message);
    expect(code).toBe(2);
  });

  test("has no likelihood and encodes nothing", async () => {
    const picture = path("images/dark/0.png");
    const asked = ["--model", path("student"), "--class", "star"];
    const encoded = await guidestar(["encode", picture, ...asked, "--out", path("latents.npz")]);
    expect(encoded.messages).toContain("encode with its teacher");
    expect(encoded.code).toBe(3);
    const likelihood = await guidestar(["nll", path("images"), ...asked]);
    expect(likelihood.messages).toContain("it gives no likelihood; give its teacher");
    expect(likelihood.code).toBe(3);
  });

  test.each([["denoiser"], ["step"]])("is exported as %s", async (what) => {
    const out = path(`${what}.onnx`);
    const { code, messages } = await guidestar(["export", path("student"), "--what", what, "--out", out]);
    expect(code, messages).toBe(0);
    expect((await readFile(out)).includes("guidance_scale")).toBe(what === "denoiser");
  });
});

test("a run of so many minutes ends by itself", async () => {
  const options = ["--minutes", "0.01", ...quick];
  const { code, messages } = await guidestar(["distill", path("teacher"), "--out", path("minutes"), ...options]);
  expect(code, messages).toBe(0);
  expect(messages).toContain("at most 0.01 minutes, 4 places a step");
});

describe("a student that is tuned on images", () => {
  const tuned = (out: string, ...options: string[]) =>
    guidestar(["distill", path("teacher"), "--out", path(out), ...options]);
  beforeAll(async () => {
    for (const [i, name] of ["circle", "square"].entries())
      await cp(path(`images/${["dark", "light"][i]}`), path(`shapes/${name}`), { recursive: true });
  });

  test("needs none of the teacher's drawing, has no guidance, and goes on after it was stopped", async () => {
    const options = ["--data", path("shapes"), "--steps", "6", "--batch-size", "2", "--threads", "1"];
    const stopped = await guidestar(["distill", path("teacher"), "--out", path("tuned"), ...options], {
      columns: 100,
      onMessage: (text, interrupt) => {
        if (text.includes(" 1/6 ")) interrupt();
      },
    });
    expect(stopped.code, stopped.messages).toBe(130);
    const again = await guidestar(["distill", "--out", path("tuned"), "--resume"]);
    expect(again.code, again.messages).toBe(0);
    expect((await tuned("whole", ...options)).code).toBe(0);
    const file = "denoiser.safetensors";
    expect(await sameBytes(join(path("tuned"), file), join(path("whole"), file))).toBe(true);
    const { out } = await guidestar(["info", path("tuned")]);
    expect(out).toContain("has no classifier-free guidance");
    const drawn = ["sample", "--model", path("tuned"), "--count", "2", "--out", path("tuned.png")];
    expect(await guidestar(drawn)).toMatchObject({ code: 0 });
    expect((await guidestar([...drawn, "--cfg-scale", "2"])).messages).toContain("need a denoiser with a null label");
  });

  test.each([
    [["--data", "images"], 'its class "dark" is none of the model\'s', 3],
    [["--data", "shapes", "--minutes", "1"], "tuning on images goes by stages", 2],
    [["--data", "shapes", "--uses", "3"], "--uses: says how the teacher draws", 2],
  ])("%j is refused", async ([flag, data, ...rest], message, code) => {
    const outcome = await tuned("none", flag!, path(data!), ...rest);
    expect(outcome.messages).toContain(message);
    expect(outcome.code).toBe(code);
  });
});

test("no denoiser begins with a student", async () => {
  const outcome = await guidestar([
    "train",
    "denoiser",
    "--from",
    path("student"),
    "--data",
    path("images"),
    "--out",
    path("tuned-on"),
  ]);
  expect(outcome.messages).toContain("begin with its teacher");
  expect(outcome.code).toBe(2);
});

describe("a run", () => {
  test("that is stopped goes on to the same student", async () => {
    const one = ["distill", path("teacher"), "--out", path("parts"), "--steps", "3", "--max-cfg-scale", "3", ...quick];
    const stopped = await guidestar([...one, "--checkpoint-every", "1"], {
      columns: 100,
      onMessage: (text, interrupt) => {
        if (text.includes(" 1/3 ")) interrupt();
      },
    });
    expect(stopped.messages).toContain(`to go on: guidestar distill --out ${path("parts")} --resume`);
    expect(stopped.code).toBe(130);
    const again = await guidestar(["distill", "--out", path("parts"), "--resume"]);
    expect(again.code, again.messages).toBe(0);
    const file = "denoiser.safetensors";
    expect(await sameBytes(join(path("parts"), file), join(path("student"), file))).toBe(true);
  });

  test.each([
    [["student"], ["--out", "other"], "a student itself", 3],
    [["large"], ["--out", "other"], "is an upsampler", 3],
    [["teacher"], ["--out", "student"], "already holds a denoiser", 2],
    [["teacher"], ["--out", "teacher"], "already holds a denoiser", 2],
    [[], ["--out", "other"], "say of which model", 2],
    [[], ["--out", "other", "--resume"], "no checkpoint of a student", 3],
    [["large"], ["--out", "student", "--resume"], "not the teacher that the run began with", 3],
    [[], ["--out", "student", "--resume", "--uses", "9"], "--uses was 1 when this run began", 2],
    [["teacher"], ["--out", "other", "--max-cfg-scale", "0.5"], "--max-cfg-scale must be", 2],
  ])("%j %j is refused", async (model, options, message, code) => {
    const [flag, out, ...rest] = options as [string, string, ...string[]];
    const outcome = await guidestar(["distill", ...model.map(path), flag, path(out), ...rest]);
    expect(outcome.messages).toContain(message);
    expect(outcome.code).toBe(code);
  });
});
