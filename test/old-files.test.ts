import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { checkpointFolder } from "../src/checkpoint/run-folder.ts";
import { decodeCheckpoint } from "../src/checkpoint/training-file.ts";
import { bytesOf } from "../src/formats/bytes.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import { openBackend } from "../src/runtime/node.ts";
import type { Checkpoint } from "../src/training/checkpoint.ts";
import { trainDenoiser } from "../src/training/train.ts";
import { guidestar, temporaryFolder } from "./cli/world.ts";
import { tinyRun } from "./training/support/tiny.ts";

const fixtures = fileURLToPath(new URL("./fixtures/v1", import.meta.url));
const at = (...path: string[]): string => join(fixtures, ...path);
const pictures = (await readdir(at("pictures"))).filter((name) => name.endsWith(".png"));
const folder = temporaryFolder();

const pixelsOf = async (path: string): Promise<Uint8Array> =>
  arrayOf(readNpz(await readFile(path)), "arr_0", "uint8").data;

/** The folder of the model that a picture of this name was drawn by, and of those beside it. */
const models = (name: string): string[] => [
  ...["--model", at(name === "heun.png" ? "edm" : "model")],
  ...(name === "weak.png" ? ["--weak-model", at("model")] : []),
  ...(name === "cascade.png" ? ["--upsampler", at("upsampler")] : []),
];

describe("files of version 0.1.0", () => {
  test.each(["model", "edm", "upsampler"])("the model folder %s is loaded", async (name) => {
    const { denoiser, classes } = await loadModel(at(name));
    expect(classes).toEqual(["disc", "cross"]);
    expect(denoiser?.process.steps).toBe(1000);
    expect((await guidestar(["info", at(name)])).code).toBe(0);
  });

  test.each(pictures)("%s is drawn again from its record", async (name) => {
    const [out, npz] = [join(folder.path, name), join(folder.path, `${name}.npz`)];
    const { code, messages } = await guidestar([
      ...["sample", "--from", at("pictures", name), ...models(name)],
      ...["--out", out, "--npz", npz, "--threads", "1"],
    ]);
    expect({ code, messages }).toMatchObject({ code: 0 });
    const [old, now] = [await pixelsOf(at("pictures", name.replace(".png", ".npz"))), await pixelsOf(npz)];
    // The same bytes on the same processor; another one rounds in another order.
    const furthest = Math.max(...old.map((value, i) => Math.abs(value - now[i]!)));
    expect(now.length).toBe(old.length);
    expect(furthest).toBeLessThanOrEqual(1);
    // What is drawn carries a record too, and that one is read as well.
    expect((await guidestar(["info", out])).code).toBe(0);
  });

  test("a training goes on and ends where it ended", async () => {
    const backend = await openBackend({ threads: 1 });
    const store = join(folder.path, "training");
    await cp(at("training", "step-00000005.safetensors"), join(store, "step-00000005.safetensors"));
    const options = { ...tinyRun(backend, 8), powerEma: true, store: checkpointFolder(store) };
    for await (const event of trainDenoiser(options)) if (event.kind === "start") expect(event.step).toBe(5);
    const [old, now] = await Promise.all(
      [at("training", "end.safetensors"), join(store, "step-00000008.safetensors")].map(async (path) =>
        decodeCheckpoint(bytesOf(await readFile(path)), path),
      ),
    );
    // The same bytes on the same processor.
    const groups = ({ params, m, v, ema, averages }: Checkpoint) => ({ params, m, v, ema, ...averages });
    for (const [group, weights] of Object.entries(groups(old!)))
      for (const [key, { data }] of Object.entries(weights)) {
        const found = groups(now!)[group as "ema"][key]!.data;
        const most = Math.max(...data.map(Math.abs));
        for (let i = 0; i < data.length; i++) expect(Math.abs(found[i]! - data[i]!), key).toBeLessThan(1e-5 * most);
      }
    expect((now!.task as number[][]).map((losses) => losses.length)).toEqual(
      (old!.task as number[][]).map((losses) => losses.length),
    );
    await backend[Symbol.asyncDispose]();
  });

  test("a sweep goes on: its cells are known", async () => {
    const out = join(folder.path, "sweep");
    await cp(at("sweep"), out, { recursive: true });
    const settings = ["--sampler", "ddim", "--steps", "4", "--count", "20", "--out", out];
    const { code, out: list, messages } = await guidestar(["sweep", "--cfg-scale", "1,2,3", ...settings, "--dry-run"]);
    expect({ code, messages }).toMatchObject({ code: 0 });
    expect(list).toMatch(/3 cells of 20 pictures, 2 done/);
  });
});
