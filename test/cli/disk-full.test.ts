import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { writeSafetensors } from "../../src/formats/safetensors.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const { denoiser } = tinyModel();

beforeAll(async () => {
  await writeImages(at("images"));
  await saveModel(at("model"), tinyModel());
  await writeFile(at("network.json"), JSON.stringify({ kind: denoiser.record.kind, config: denoiser.record.config }));
  await writeFile(at("w.safetensors"), writeSafetensors(denoiser.weights));
});

/** Runs a command line in a process whose files may have `kilobytes`: the system then refuses to write on, as a full disk does. */
async function limited(kilobytes: number, argv: readonly string[]): Promise<{ code: number; messages: string }> {
  const command = [process.execPath, "--import", "tsx", main, ...argv];
  const options = { env: { ...process.env, GUIDESTAR_PROGRAM_CACHE: "off" } };
  return promisify(execFile)("bash", ["-c", `ulimit -f ${kilobytes}; exec "$0" "$@"`, ...command], options).then(
    ({ stderr }) => ({ code: 0, messages: stderr }),
    (error: { code: number; stderr: string }) => ({ code: error.code, messages: error.stderr }),
  );
}

const contents = async (path: string): Promise<Record<string, string>> => {
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name !== "metrics.jsonl")
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.sort().map(async (file) => [file, (await readFile(file)).toString("base64")] as const)),
  );
};

const refused =
  /^guidestar: \S+: cannot be written, for it is larger than a file may be there \(EFBIG\); it needs [\d.]+ [kM]B; .+\n$/;
const last = (messages: string): string => `${messages.trimEnd().split("\n").at(-1)}\n`;

test.runIf(process.platform === "linux")(
  "where the disk takes no more, old files are whole, and a later run does it",
  async () => {
    const train = ["train", "denoiser", "--out", at("run"), "--threads", "1"];
    const begin = [
      "--data",
      at("images"),
      "--preset",
      "tiny",
      "--batch-size",
      "4",
      "--warm-up-steps",
      "2",
      "--sample-every",
      "1000",
    ];
    expect((await guidestar([...train, ...begin, "--steps", "2"])).code).toBe(0);
    const sample = [
      "sample",
      "--model",
      at("model"),
      "--count",
      "40",
      "--steps",
      "2",
      "--threads",
      "1",
      "--out",
      at("s.png"),
    ];
    expect((await guidestar(sample)).code).toBe(0);
    const importing = [
      "import",
      at("w.safetensors"),
      "--config",
      at("network.json"),
      "--variance",
      "learned-range",
      "--replace",
      "--out",
      at("model"),
    ];
    const distill = ["distill", "--out", at("student"), "--threads", "1"];
    const drawn = ["--teacher-steps", "2", "--uses", "1", "--batch-size", "4"];
    expect((await guidestar([...distill, at("model"), ...drawn, "--steps", "2"])).code).toBe(0);
    const detector = ["train", "detector", "--out", at("detector"), "--threads", "1"];
    const quick = ["--data", at("images"), "--preset", "small", "--batch-size", "4"];
    expect((await guidestar([...detector, ...quick, "--steps", "2"])).code).toBe(0);
    const lines = [
      { argv: [...train, "--resume", "--steps", "3"], limit: 100 },
      { argv: [...distill, "--resume", "--steps", "3"], limit: 20 },
      { argv: [...detector, "--resume", "--steps", "3"], limit: 20 },
      { argv: sample, limit: 1 },
      { argv: importing, limit: 20 },
    ];
    for (const { argv, limit } of lines) {
      const before = await contents(at());
      const { code, messages } = await limited(limit, argv);
      expect(last(messages)).toMatch(refused);
      expect(code).toBe(1);
      expect(Object.keys(await contents(at()))).toEqual(Object.keys(before));
      expect(await contents(at())).toEqual(before);
      if (argv[0] === "import")
        expect(messages).toMatch(/model\/denoiser\.safetensors: cannot .* the file that was there is as it was;/);
      if (argv.includes("--resume"))
        expect(messages).toMatch(/from step 2 it goes on by: guidestar (train \w+|distill) --out \S+ --resume\n$/);
      expect(await guidestar(argv)).toMatchObject({ code: 0 });
    }
    await loadModel(at("model"));
  },
  300_000,
);

test.runIf(process.platform === "linux")(
  "a sweep that the disk took in part has whole cells, and a later run draws the others",
  async () => {
    const quick = ["--sampler", "dpm++2m", "--steps", "2", "--count", "10", "--threads", "1"];
    const argv = ["sweep", "--out", at("sweep"), "--cfg-scale", "1,2", ...quick];
    const { code, messages } = await limited(2, argv);
    expect({ code, message: last(messages) }).toEqual({ code: 1, message: expect.stringMatching(refused) });
    const cells = async () => (await readFile(at("sweep", "cells.jsonl"), "utf8")).trimEnd().split("\n");
    const before = (await cells()).map((line) => JSON.parse(line) as object);
    expect((await readdir(at("sweep"))).sort()).toEqual(["cells.jsonl", "sweep.json"]);
    expect(await guidestar(argv)).toMatchObject({ code: 0 });
    expect((await cells()).map((line) => JSON.parse(line) as object).slice(0, before.length)).toEqual(before);
    expect(await cells()).toHaveLength(2);
  },
);

test("evaluate prints its numbers before it writes", async () => {
  const data = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i * i));
  await mkdir(at("features"));
  await writeFile(at("features", "a.npz"), writeNpz({ arr_0: { dtype: "float32", shape: [20, 3], data } }));
  // A name that can be checked, but not written under another name first.
  const unwritable = at("features", `${"n".repeat(300)}.npz`);
  const argv = ["--sample-features", at("features", "a.npz"), "--reference-features", at("features", "a.npz")];
  const { code, out, messages } = await guidestar(["evaluate", ...argv, "--save-features", unwritable]);
  expect(out).toMatch(/distance/i);
  expect(code).toBe(1);
  expect(last(messages)).toMatch(
    /its name is too long \(ENAMETOOLONG\); it needs .*; nothing of it was left; choose a shorter one/,
  );
  expect(await readdir(at("features"))).toEqual(["a.npz"]);
});

test("that a file is there and will be replaced is said", async () => {
  await writeFile(at("there.png"), "something else");
  const sample = ["sample", "--model", at("model"), "--count", "1", "--steps", "2", "--threads", "1", "--out"];
  expect((await guidestar([...sample, at("there.png")])).messages).toContain(
    `note: ${at("there.png")} is there, and will be replaced\n`,
  );
  expect((await guidestar([...sample, at("new.png")])).messages).not.toContain("replaced");
});
