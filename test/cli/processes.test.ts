import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import { guidestar, sameBytes, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(() => writeImages(at("images")));

const train = (network: "denoiser" | "classifier", out: string, ...more: string[]) =>
  guidestar([
    ...["train", network, "--data", at("images"), "--out", at(out), "--preset", "tiny", "--batch-size", "4"],
    ...["--threads", "1", "--steps", "4", "--checkpoint-every", "2", "--diffusion-steps", "40", ...more],
  ]);
const draw = (model: string, ...more: string[]) =>
  guidestar(["sample", "--model", at(model), "--count", "1", "--threads", "1", "--out", at(`${model}.png`), ...more]);

test.each([
  {
    name: "v",
    options: ["--prediction", "v", "--schedule", "linear", "--zero-terminal-snr", "--loss-weight", "min-snr"],
    process: { schedule: "linear", prediction: "v", variance: "learned-range", zeroTerminalSnr: true },
    info: /linear schedule, T = 40, zero terminal SNR; predicts v, variance learned-range/,
    sampler: ["--sampler", "ddpm", "--steps", "4"],
  },
  {
    name: "flow",
    options: ["--process", "flow", "--timesteps", "logit-normal"],
    process: { schedule: "flow", prediction: "velocity", variance: "fixed-small" },
    info: /flow schedule, T = 40; predicts velocity, variance fixed-small/,
    sampler: ["--sampler", "dpm++2m", "--steps", "4"],
  },
  {
    name: "edm",
    options: ["--process", "edm", "--sigma-data", "0.6"],
    process: { schedule: "edm", prediction: "edm", variance: "fixed-small", sigmaData: 0.6 },
    info: /edm schedule, T = 40, sigma 0.002 to 80, sigmaData 0.6; predicts edm/,
    sampler: ["--sampler", "heun", "--steps", "4", "--classifier-scale", "1"],
  },
])(
  "a model of the $name process is trained, described, joined by a classifier and sampled",
  async ({ name, options, process, info, sampler }) => {
    expect(await train("denoiser", name, ...options)).toMatchObject({ code: 0, out: `${at(name)}\n` });
    expect((await loadModel(at(name))).denoiser!.process).toMatchObject({ ...process, steps: 40 });
    expect((await guidestar(["info", at(name)])).out).toMatch(info);
    expect(await train("classifier", name)).toMatchObject({ code: 0 });
    const { classifier } = await loadModel(at(name));
    const { prediction: _, variance: __, ...noise } = process;
    expect(classifier!.process).toEqual({ ...noise, steps: 40, rescaleTimesteps: false });
    expect(await draw(name, ...sampler)).toMatchObject({ code: 0 });
    expect(existsSync(at(`${name}.png`))).toBe(true);
  },
  60_000,
);

test("the length of the average is chosen after training", async () => {
  expect(await train("denoiser", "averaged", "--power-ema")).toMatchObject({ code: 0 });
  const short = await guidestar(["ema", at("averaged"), "--length", "0.05", "--out", at("short")]);
  expect(short).toMatchObject({ code: 0, out: `${at("short")}\n` });
  expect(short.messages).toMatch(/average of length 0.05 at step 4, from 4 snapshots; its profile is met within .*%/);
  expect((await loadModel(at("short"))).denoiser!.training).toMatchObject({ step: 4, averageLength: 0.05 });
  // The same again may take its place, so that what was killed can be run again; another average may not.
  expect(await guidestar(["ema", at("averaged"), "--length", "0.05", "--out", at("short")])).toMatchObject({ code: 0 });
  const other = ["ema", at("averaged"), "--length", "0.07", "--out", at("short")];
  expect(await guidestar(other)).toMatchObject({
    code: 2,
    messages: expect.stringMatching(
      /holds a denoiser that was trained for 4 steps .*, and the average would replace it/,
    ),
  });
  expect((await loadModel(at("short"))).denoiser!.training).toMatchObject({ averageLength: 0.05 });
  const long = await guidestar(["ema", at("averaged"), "--length", "0.2"]);
  expect(long).toMatchObject({ code: 0, out: `${at("averaged")}\n` });
  expect((await loadModel(at("averaged"))).denoiser!.training).toMatchObject({ averageLength: 0.2 });
  expect(await sameBytes(at("averaged", "denoiser.safetensors"), at("short", "denoiser.safetensors"))).toBe(false);
  const stopped = await guidestar(["ema", at("averaged"), "--length", "0.1", "--out", at("none")], {
    interrupted: true,
  });
  expect({ ...stopped, there: existsSync(at("none")) }).toMatchObject({ code: 130, there: false });
  const damaged = await guidestar(["ema", at("short"), "--length", "0.1"]);
  expect(damaged).toMatchObject({ code: 3 });
  expect(damaged.messages).toMatch(/no snapshots of averages; `guidestar train denoiser --power-ema` keeps them/);
}, 120_000);

test.each([
  [["--zero-terminal-snr"], /x_0 cannot be found from a predicted eps; train with prediction v or x0/],
  [["--process", "flow", "--schedule", "linear"], /--schedule is for --process ddpm, but the process is flow/],
  [["--process", "flow", "--loss", "hybrid"], /choose a fixed variance \(--loss simple\)/],
  [["--process", "edm", "--prediction", "v"], /the edm schedule needs a prediction of edm, eps, x0, but it is v/],
])("%s is refused before anything is written", async (options, message) => {
  const refused = await train("denoiser", "refused", ...options);
  expect(refused.code).toBe(2);
  expect(refused.messages).toMatch(message);
  expect(existsSync(at("refused"))).toBe(false);
});
