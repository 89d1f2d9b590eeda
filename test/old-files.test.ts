import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadModel } from "../src/checkpoint/model-folder.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import { guidestar, temporaryFolder } from "./cli/world.ts";

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

  test("a sweep goes on: its cells are known", async () => {
    const out = join(folder.path, "sweep");
    await cp(at("sweep"), out, { recursive: true });
    const settings = ["--sampler", "ddim", "--steps", "4", "--count", "20", "--out", out];
    const { code, out: list, messages } = await guidestar(["sweep", "--cfg-scale", "1,2,3", ...settings, "--dry-run"]);
    expect({ code, messages }).toMatchObject({ code: 0 });
    expect(list).toMatch(/3 cells of 20 pictures, 2 done/);
  });
});
