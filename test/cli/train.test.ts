import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { upgradeOptions } from "../../src/cli/train/stored-options.ts";
import { readSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { guidestar, sameBytes, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(() => writeImages(at("images")));

const tiny = ["--preset", "tiny", "--batch-size", "4", "--threads", "1"];
const train = (network: "denoiser" | "classifier", out: string, ...more: string[]) => [
  ...["train", network, "--data", at("images"), "--out", at(out), ...tiny, "--steps", "6", "--checkpoint-every", "2"],
  ...more,
];
const metricsOf = async (out: string) =>
  (await readFile(at(out, "metrics.jsonl"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Runs until the progress bar shows a first step, then Ctrl-C. */
const interrupted = (argv: string[]) =>
  guidestar(argv, { columns: 200, onMessage: (text, interrupt) => / [1-5]\/6 /.test(text) && interrupt() });

describe("training", () => {
  beforeAll(async () => {
    const done = await guidestar(train("denoiser", "straight"));
    expect(done).toMatchObject({ code: 0, out: `${at("straight")}\n` });
  });

  test("leaves a model, checkpoints, metrics and a sheet", async () => {
    expect((await readdir(at("straight"))).sort()).toEqual([
      "checkpoints",
      "denoiser.safetensors",
      "metrics.jsonl",
      "model.json",
      "pairs.png",
      "samples",
    ]);
    expect((await readdir(at("straight", "checkpoints", "denoiser"))).length).toBeGreaterThan(1);
    expect(await readdir(at("straight", "samples"))).toEqual(["step-00000006.png"]);
    const model = await loadModel(at("straight"));
    expect(model).toMatchObject({
      classes: ["dark", "light"],
      imageShape: [1, 8, 8],
      denoiser: {
        process: { schedule: "cosine", steps: 1000, prediction: "eps", variance: "learned-range" },
        training: { preset: "tiny", batchSize: 4, steps: 6, step: 6, images: 12, data: "images" },
      },
    });
    const metrics = await metricsOf("straight");
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(metrics[0].metrics.loss).toBeCloseTo(metrics[0].metrics.mse + metrics[0].metrics.vb, 4);
  });

  test("is refused where another process trains into the folder, until that one has ended", async () => {
    const file = at("shared", ".lock");
    await mkdir(at("shared"));
    await writeFile(file, JSON.stringify({ process: process.ppid, host: hostname() }));
    const refused = await guidestar(train("denoiser", "shared"));
    expect(refused).toMatchObject({ code: 2, out: "" });
    expect(refused.messages).toContain(`process ${process.ppid} on ${hostname()} is writing into ${at("shared")}`);
    expect(await readdir(at("shared"))).toEqual([".lock"]);
    await rm(file);
    expect((await guidestar(train("denoiser", "shared"))).code).toBe(0);
  });

  test("goes on after Ctrl-C as if it had not been stopped, with the command that it printed", async () => {
    const stopped = await interrupted(train("denoiser", "stopped"));
    expect(stopped.code).toBe(130);
    const command = `guidestar train denoiser --out ${at("stopped")} --resume`;
    const [, step, rest] = /stopped after step (\d); to go on: (.*)\n$/.exec(stopped.messages) ?? [];
    expect(rest).toBe(command);
    await loadModel(at("stopped"));

    const resumed = await guidestar(command.split(" ").slice(1));
    expect(resumed.code).toBe(0);
    expect(resumed.messages).toContain(`going on from step ${step}`);
    for (const file of ["denoiser.safetensors", "model.json"])
      expect(await sameBytes(at("stopped", file), at("straight", file)), file).toBe(true);
    expect((await metricsOf("stopped")).map(({ step, metrics }) => [step, metrics])).toEqual(
      (await metricsOf("straight")).map(({ step, metrics }) => [step, metrics]),
    );
  });

  test("joins a classifier to the denoiser, on the same noise", async () => {
    const joined = await guidestar(train("classifier", "straight"));
    expect(joined.code).toBe(0);
    const model = await loadModel(at("straight"));
    expect(Object.keys(model.weights)).toEqual(["denoiser", "classifier"]);
    expect(model.classifier!.process).toEqual({ schedule: "cosine", steps: 1000, rescaleTimesteps: false });
    expect((await metricsOf("straight")).filter(({ network }) => network === "classifier")).toHaveLength(6);
    const accuracies = (await readFile(at("straight", "accuracy.csv"), "utf8")).trimEnd().split("\n");
    expect(accuracies[0]).toBe("timestep,images,accuracy,standard_error,cross_entropy");
    expect(accuracies).toHaveLength(12);
    expect(joined.messages).toContain("guessing gives 50.0%");
  });

  test("is not begun again over a model, nor resumed with options that change it", async () => {
    const again = await guidestar(train("denoiser", "straight"));
    expect(again).toMatchObject({ code: 2, out: "" });
    expect(again.messages).toMatch(/already holds a denoiser, trained for 6 steps: go on with --resume/);
    const changed = await guidestar(train("denoiser", "straight", "--resume", "--seed", "3"));
    expect(changed.code).toBe(2);
    expect(changed.messages).toMatch(/--seed was 0 when this run began, and is 3 now/);
    const open = await guidestar(train("denoiser", "straight", "--resume", "--schedule", "linear"));
    expect(open.messages).toMatch(/--schedule was left open when this run began, and is linear now/);
    await writeImages(at("other"), 5);
    const elsewhere = await guidestar([
      "train",
      "denoiser",
      "--resume",
      "--out",
      at("straight"),
      "--data",
      at("other"),
    ]);
    expect(elsewhere.code).toBe(3);
    expect(elsewhere.messages).toMatch(/not the images that this run began with/);
  });

  test("may be made longer when it is resumed", async () => {
    const longer = await guidestar(["train", "classifier", "--resume", "--out", at("straight"), "--steps", "7"]);
    expect(longer.code).toBe(0);
    expect((await loadModel(at("straight"))).classifier!.training).toMatchObject({ step: 7, steps: 7 });
  });
});

describe("a run of version 0.1.0", () => {
  /** What the options of a checkpoint were called. */
  const earlier: Readonly<Record<string, string>> = {
    batchSize: "batch",
    warmUpSteps: "warmUp",
    maxGradientNorm: "clipGradient",
    emaRate: "ema",
    labelDropout: "dropoutLabel",
    diffusionSteps: "noiseSteps",
    sigmaData: "dataDeviation",
  };
  /** A checkpoint as that version wrote it. */
  async function withEarlierNames(path: string): Promise<void> {
    const { tensors, metadata } = readSafetensors(await readFile(path));
    const run = JSON.parse(metadata.run!);
    const config = Object.entries<unknown>(run.config).map(([key, value]) => [
      earlier[key] ?? key,
      value === "vlb" ? "bound" : value,
    ]);
    const old = { ...metadata, run: JSON.stringify({ ...run, config: Object.fromEntries(config) }) };
    await writeFile(path, writeSafetensors(tensors, { metadata: old }));
  }

  test.each([
    ["bound", ["--loss", "vlb", "--learning-rate", "1e-6", "--diffusion-steps", "3", "--ema-rate", "0.9"]],
    ["edm", ["--process", "edm", "--sigma-data", "0.4", "--warm-up-steps", "2", "--max-gradient-norm", "0.5"]],
  ])("is resumed under today's names: %s", async (name, options) => {
    const [whole, old] = [`${name}-whole`, `${name}-old`];
    expect((await guidestar(train("denoiser", whole, ...options, "--label-dropout", "0.3"))).code).toBe(0);
    for (const part of ["checkpoints", "metrics.jsonl"]) await cp(at(whole, part), at(old, part), { recursive: true });
    await rm(at(old, "checkpoints", "denoiser", "step-00000006.safetensors"));
    await withEarlierNames(at(old, "checkpoints", "denoiser", "step-00000004.safetensors"));
    expect((await guidestar(["train", "denoiser", "--out", at(old), "--resume"])).code).toBe(0);
    for (const file of ["denoiser.safetensors", "model.json", "checkpoints/denoiser/step-00000006.safetensors"])
      expect(await sameBytes(at(old, file), at(whole, file)), file).toBe(true);
    const changed = await guidestar(["train", "denoiser", "--out", at(old), "--resume", "--noise-steps", "7"]);
    expect(changed.messages).toMatch(/--diffusion-steps was .* when this run began, and is 7 now/);
  });

  test("took flags that are still taken", async () => {
    const flags = ["--batch", "3", "--warm-up", "1", "--clip-gradient", "2", "--ema", "0.5", "--dropout-label", "0.2"];
    const noise = ["--noise-steps", "30", "--process", "edm", "--data-deviation", "0.3"];
    expect((await guidestar([...train("denoiser", "flags"), ...flags, ...noise])).code).toBe(0);
    const { training } = (await loadModel(at("flags"))).denoiser!;
    expect(training).toMatchObject({
      ...{ batchSize: 3, warmUpSteps: 1, maxGradientNorm: 2, emaRate: 0.5, labelDropout: 0.2 },
      ...{ diffusionSteps: 30, sigmaData: 0.3 },
    });
    const loss = await guidestar([...train("denoiser", "none", "--dry-run"), "--loss", "bound"]);
    expect(loss).toMatchObject({ code: 0 });
    expect((await guidestar(["train", "denoiser", "--help"])).out).not.toMatch(/--ema |clip-gradient|bound\b.*bound/);
  });
});

test("a run whose loss explodes names a command that goes back, with a lower rate; model.json records it", async () => {
  const wild = ["--learning-rate", "0.001", "--max-gradient-norm", "0", "--decay", "none", "--checkpoint-every", "1"];
  expect((await guidestar(train("denoiser", "wild", ...wild, "--warm-up-steps", "1"))).code).toBe(0);
  const resume = ["train", "denoiser", "--out", at("wild"), "--resume"];
  const exploded = await guidestar([...resume, "--learning-rate", "1000", "--steps", "60"]);
  expect(exploded.code).toBe(1);
  const [, command, step] = /lower rate: guidestar (.* --resume --from-step (\d+) .*)\n$/.exec(exploded.messages) ?? [];
  expect(command).toContain("--learning-rate 100 --max-gradient-norm 1");
  const steps = String(Number(step) + 2);
  const saved = await guidestar([...resume, "--from-step", step!, "--learning-rate", "1e-4", "--steps", steps]);
  expect(saved).toMatchObject({ code: 0 });
  const { training } = (await loadModel(at("wild"))).denoiser!;
  expect(training).toMatchObject({
    changes: [{ step: Number(step), learningRate: { before: expect.any(Number), now: 1e-4 } }],
  });
  const none = await guidestar([...resume, "--from-step", "1000"]);
  expect(none).toMatchObject({
    code: 2,
    messages: expect.stringMatching(/no checkpoint of step 1000; there are those/),
  });
});

test("a run that is made longer keeps the warm-up that it began with", async () => {
  expect((await guidestar(train("denoiser", "warm", "--steps", "10"))).code).toBe(0);
  expect((await guidestar(["train", "denoiser", "--resume", "--out", at("warm"), "--steps", "20"])).code).toBe(0);
  const { training } = (await loadModel(at("warm"))).denoiser!;
  expect(training).toMatchObject({ steps: 20, warmUpSteps: 1 });
  expect(training).not.toHaveProperty("changes");
  // Earlier versions did not store it where the run's length decided it.
  expect(upgradeOptions({ steps: 1000 })).toEqual({ heldOut: 0, steps: 1000, warmUpSteps: 100 });
  expect(upgradeOptions({ steps: 1000, warmUp: 7 })).toEqual({ heldOut: 0, steps: 1000, warmUpSteps: 7 });
});

test("pictures that are not finite are not drawn on a sheet, and training goes on to its end", async () => {
  const wild = [
    "--steps",
    "1",
    "--learning-rate",
    "3e38",
    "--decay",
    "none",
    "--warm-up-steps",
    "0",
    "--ema-rate",
    "0",
  ];
  const { code, messages } = await guidestar(train("denoiser", "overflow", ...wild));
  expect({ code, messages }).toMatchObject({ code: 0 });
  expect(messages).toMatch(/step-00000001\.png: not drawn: .* not finite.*; training goes on\n/);
  expect(existsSync(at("overflow", "samples"))).toBe(false);
  expect((await loadModel(at("overflow"))).denoiser!.training).toMatchObject({ step: 1 });
});

test("that steps will be slow is said before the first", async () => {
  const { code, messages } = await guidestar(train("denoiser", "slow", "--size", "512"), {
    onMessage: (text, interrupt) => {
      if (text.includes("very roughly")) interrupt();
    },
  });
  expect(messages).toMatch(
    /\nby its cost, a step of \d+ such images takes very roughly .+; a smaller --size, --preset or --batch-size makes it less\n/,
  );
  expect(code).toBe(130);
});

test("a dry run counts, estimates, and writes nothing", async () => {
  const dry = await guidestar(train("denoiser", "dry", "--dry-run"));
  expect(dry).toMatchObject({ code: 0 });
  expect(dry.out).toMatch(/data: 12 images 8x8, grey, 2 classes/);
  expect(dry.out).toMatch(/denoiser: preset tiny, [\d,]+ parameters; cosine schedule, T = 1000/);
  expect(dry.out).toMatch(/time: about .* images\/s/);
  expect(existsSync(at("dry"))).toBe(false);
});

describe("errors come in one line, with an exit code, and nothing written:", () => {
  test.each<[string, () => string[], number, RegExp]>([
    ["no --out", () => ["train", "denoiser", "--data", at("images")], 2, /--out is missing/],
    ["no --data", () => ["train", "denoiser", "--out", at("failed")], 2, /--data is missing/],
    ["an unknown option", () => train("denoiser", "failed", "--stepz", "3"), 2, /unknown option '--stepz'/],
    [
      "nothing to resume",
      () => ["train", "denoiser", "--out", at("failed"), "--resume"],
      3,
      /no checkpoint of a denoiser to go on from yet, and nothing is lost by beginning anew: give --data DIR as well/,
    ],
    [
      "a bad number",
      () => train("denoiser", "failed", "--ema-rate", "2"),
      2,
      /--ema-rate must be a number from 0 to 1 but is "2"/,
    ],
    [
      "a bad choice",
      () => train("denoiser", "failed", "--loss", "big"),
      2,
      /--loss must be one of hybrid, simple, vlb/,
    ],
    [
      "no data there",
      () => ["train", "denoiser", "--data", at("nothing"), "--out", at("failed")],
      3,
      /nothing: no such/,
    ],
    ["one class only", () => ["train", "classifier", "--data", at("images", "dark"), "--out", at("failed")], 3, /./],
  ])("%s", async (_, argv, code, message) => {
    const { messages, ...outcome } = await guidestar(argv());
    expect(outcome).toEqual({ code, out: "" });
    expect(messages).toMatch(message);
    expect(messages.trim().split("\n").at(-1)).toMatch(/^guidestar: |Did you mean/);
    expect(existsSync(at("failed"))).toBe(false);
  });
});
