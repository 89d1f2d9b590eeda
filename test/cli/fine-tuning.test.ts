// `guidestar train --from`: what is taken over and said, recorded and refused, and a run that goes on.
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { encodePng } from "../../src/images/png.ts";
import { tinyModel, tinyUpsampler } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const { denoiser, classifier, ...facts } = tinyModel();

/** Pictures of two classes, one of which the model knows. */
async function writePictures(name: string, side = 8, channels: 1 | 3 = 3): Promise<void> {
  for (const [label, own] of ["star", "moon"].entries()) {
    await mkdir(at(name, own), { recursive: true });
    for (let i = 0; i < 4; i++) {
      const data = Uint8Array.from({ length: side ** 2 * channels }, (_, p) => (p * (i + 3) * (label + 1)) % 256);
      await writeFile(at(name, own, `${i}.png`), encodePng({ width: side, height: side, channels, data }));
    }
  }
}

beforeAll(async () => {
  await saveModel(at("model"), { ...facts, denoiser, classifier }, { storage: "float16" });
  await writePictures("colour");
});

const line = (network: string, from: string, out: string, ...more: string[]) => [
  ...["train", network, "--from", from, "--data", at("colour"), "--out", at(out), "--threads", "1"],
  ...["--steps", "4", "--batch-size", "4", "--checkpoint-every", "2", ...more],
];

test("a colour model of other classes begins with a grey one", { timeout: 60_000 }, async () => {
  const done = await guidestar(line("denoiser", at("model"), "own"));
  expect(done).toMatchObject({ code: 0, out: `${at("own")}\n` });
  expect(done.messages).toMatch(
    /taken over: 0\.\d+ of 0\.\d+ M parameters from .*model \(grey to colour\); of the same name: classes star; new: classes moon/,
  );
  const own = await loadModel(at("own"));
  expect(own).toMatchObject({
    classes: ["moon", "star"],
    imageShape: [3, 8, 8],
    denoiser: {
      config: { ...denoiser.record.config, inChannels: 3, outChannels: 6, numClasses: 2 },
      process: denoiser.record.process,
      training: {
        from: { name: "model", sha256: (await loadModel(at("model"))).denoiser!.sha256 },
        learningRate: 5e-4,
      },
    },
  });
  expect(Object.keys(own.denoiser!.training!)).not.toContain("start");

  const joined = await guidestar(line("classifier", at("model"), "own"));
  expect(joined.code).toBe(0);
  expect((await loadModel(at("own"))).classifier).toMatchObject({
    config: { ...classifier.record.config, inChannels: 3, outChannels: 2 },
    process: classifier.record.process,
  });
});

test("goes on after Ctrl-C as if it had not stopped, though the model that it began with is gone", {
  timeout: 60_000,
}, async () => {
  await cp(at("model"), at("lost"), { recursive: true });
  expect((await guidestar(line("denoiser", at("lost"), "straight"))).code).toBe(0);
  const stopped = await guidestar(line("denoiser", at("lost"), "stopped"), {
    columns: 200,
    onMessage: (text, interrupt) => / [1-3]\/4 /.test(text) && interrupt(),
  });
  expect(stopped.code).toBe(130);
  await rm(at("lost"), { recursive: true });
  const resumed = await guidestar(["train", "denoiser", "--out", at("stopped"), "--resume", "--threads", "1"]);
  expect(resumed.code, resumed.messages).toBe(0);
  for (const file of ["denoiser.safetensors", "model.json"])
    expect(await sameBytes(at("stopped", file), at("straight", file)), file).toBe(true);
  const other = await guidestar(["train", "denoiser", "--out", at("stopped"), "--resume", "--from", at("model")]);
  expect(other.code).toBe(2);
  expect(other.messages).toMatch(/--from was .*lost when this run began, and is .*model now/);
});

test("--size, --preset and options of the process override what the model has", { timeout: 60_000 }, async () => {
  await writePictures("large", 20, 1);
  const argv = (out: string, ...more: string[]) => [
    ...["train", "denoiser", "--from", at("model"), "--data", at("large"), "--out", at(out), "--threads", "1"],
    ...["--steps", "1", "--batch-size", "2", ...more],
  ];
  expect((await guidestar(argv("as-model"))).code).toBe(0);
  expect((await loadModel(at("as-model"))).imageShape).toEqual([1, 8, 8]);
  expect((await guidestar(argv("larger", "--size", "16", "--process", "flow"))).code).toBe(0);
  expect(await loadModel(at("larger"))).toMatchObject({
    imageShape: [1, 16, 16],
    denoiser: { process: { schedule: "flow", prediction: "velocity", variance: "fixed-small" } },
  });
  const odd = await guidestar(argv("odd", "--size", "9"));
  expect(odd).toMatchObject({ code: 2, out: "" });
  expect(odd.messages).toContain(
    "takes images whose sides are multiples of 2, but these are 9x9: give such a --size, or --preset for another network",
  );
  expect((await guidestar(argv("odd", "--size", "9", "--preset", "tiny", "--dry-run"))).code).toBe(0);
});

describe("is refused, and nothing is written", () => {
  const refused = async (from: string, words: RegExp | string, network = "denoiser", code = 2) => {
    const outcome = await guidestar(line(network, from, "never"));
    expect(outcome.messages).toMatch(words);
    expect(outcome).toMatchObject({ code, out: "" });
    await expect(readdir(at("never"))).rejects.toThrow(/ENOENT/);
  };

  test("for what is no model", async () => {
    await refused(
      at("nowhere"),
      /--from .*nowhere: there is no such model; expected a folder with model.json/,
      "denoiser",
      3,
    );
    await refused(at("colour"), /--from .*colour: expected a model folder, but it holds no model.json/, "denoiser", 3);
  });

  test("for a model without such a network", async () => {
    await saveModel(at("reader"), { ...facts, classifier });
    await saveModel(at("drawer"), { ...facts, denoiser });
    await refused(at("reader"), /reader holds no denoiser to begin with, only a classifier; give a model that has one/);
    await refused(at("drawer"), /drawer holds no classifier to begin with, only a denoiser/, "classifier");
  });

  test("for an upsampler", async () => {
    await saveModel(at("upsampler"), tinyUpsampler());
    await refused(at("upsampler"), /upsampler: networks of the family adm-super-resolution cannot be fitted/);
  });

  test("for a student, whose teacher is named", async () => {
    const teacher = { name: "digits", sha256: "0".repeat(64) };
    await saveModel(at("student"), { ...facts, denoiser: { ...denoiser, record: { ...denoiser.record, teacher } } });
    await refused(at("student"), /student is a student, which .*; begin with its teacher, digits, and distill/);
  });

  test("for a folder that is being trained", async () => {
    await cp(at("model"), at("busy"), { recursive: true });
    await writeFile(at("busy", ".lock"), JSON.stringify({ process: process.ppid, host: hostname() }));
    await refused(at("busy"), `process ${process.ppid} on ${hostname()} is writing into it; wait until that has ended`);
  });

  test("for a damaged model", async () => {
    await cp(at("model"), at("damaged"), { recursive: true });
    await writeFile(at("damaged", "denoiser.safetensors"), "no weights");
    await refused(at("damaged"), /denoiser.safetensors/, "denoiser", 3);
  });

  test("for the folder of --out, which stays as it is", async () => {
    const before = await readFile(at("model", "model.json"), "utf8");
    await saveModel(at("half"), { ...facts, classifier });
    for (const out of ["half", "half/../half"]) {
      const same = await guidestar(line("classifier", at("half"), out));
      expect(same.code).toBe(2);
    }
    const same = await guidestar(line("denoiser", at("half"), "half"));
    expect(same.messages).toMatch(
      /is the folder that --out writes; give another --out, or go on with its own training by --resume/,
    );
    expect(same.code).toBe(2);
    expect(await readdir(at("half"))).toEqual(["classifier.safetensors", "model.json"]);
    expect(await readFile(at("model", "model.json"), "utf8")).toBe(before);
  });
});
