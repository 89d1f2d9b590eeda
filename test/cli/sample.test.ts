import { existsSync, mkdirSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { animation } from "../../src/cli/sample/animation.ts";
import { arrayOf, readNpz } from "../../src/formats/npz.ts";
import { decodeImage } from "../../src/images/decode.ts";
import { readPngText } from "../../src/images/png.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, type RunOptions, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const { classifier, denoiser, ...facts } = tinyModel();
beforeAll(async () => {
  await saveModel(at("model"), { ...facts, denoiser, classifier });
});

const sampleWith = (options: RunOptions, ...more: string[]) =>
  guidestar(["sample", "--model", at("model"), "--steps", "3", "--threads", "1", ...more], options);
const sample = (...more: string[]) => sampleWith({}, ...more);
const specOf = async (path: string) => JSON.parse(readPngText(await readFile(path)).guidestar!);

describe("sample", () => {
  test("writes a sheet, arrays and an animation, and says as JSON what it did", async () => {
    const files = ["--out", at("a", "grid.png"), "--npz", at("a", "grid.npz"), "--gif", at("a", "grid.gif")];
    const { code, out } = await sample("--class", "star,0", "--count", "5", "--seed", "7", "--json", ...files);
    expect(code).toBe(0);
    expect((await readdir(at("a"))).sort()).toEqual(["grid.gif", "grid.npz", "grid.png"]);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ out: at("a", "grid.png"), classes: ["star", "circle", "star", "circle", "star"] });
    expect(report.run).toEqual(await specOf(at("a", "grid.png")));
    expect(report.run).toMatchObject({
      model: { name: at("model") },
      labels: [2, 0, 2, 0, 2],
      seeds: [7, 8, 9, 10, 11],
      sampler: { kind: "dpm++2m", steps: 3, levels: "karras" },
      guidance: { cfgScale: 2, classifierScale: 0 },
    });

    const arrays = readNpz(await readFile(at("a", "grid.npz")));
    expect(arrayOf(arrays, "arr_0", "uint8").shape).toEqual([5, 8, 8, 1]);
    expect(Array.from(arrayOf(arrays, "arr_1", "int64").data, Number)).toEqual([2, 0, 2, 0, 2]);
    const [sheet, first] = [
      await decodeImage(await readFile(at("a", "grid.png"))),
      await decodeImage(await readFile(at("a", "grid.gif"))),
    ];
    expect([first.width, first.height]).toEqual([sheet.width, sheet.height]);
  });

  test("an animation that fails does not lose the picture", async () => {
    // The message comes after the paths were looked at: where the file is about to be written there is a folder by then.
    const { code } = await sampleWith(
      { onMessage: () => mkdirSync(at("fails.gif"), { recursive: true }) },
      ...["--count", "1", "--out", at("fails.png"), "--gif", at("fails.gif")],
    );
    expect(code).not.toBe(0);
    expect(await specOf(at("fails.png"))).toMatchObject({ seeds: [0] });
  });

  test("frames of an animation are smaller than the sheet where all would have too many pixels", async () => {
    const noise = float32([400, 1, 8, 8], normals(1, 0, 400 * 64));
    const of = async (steps: number, x = noise, columns = 20, scale = 12) => {
      const animated = animation({ columns, scale });
      for (let step = steps - 1; step <= steps; step++) animated.add(step, steps, x);
      const { width, height } = await decodeImage(await animated.encode());
      expect(Math.min(steps, 60) * width * height).toBeLessThanOrEqual(40e6);
      return { size: [width, height], note: animated.note() };
    };
    expect(await of(10)).toEqual({ size: [1962, 1962], note: undefined });
    expect(await of(60)).toEqual({ size: [682, 682], note: expect.stringMatching(/682x682 pixels, smaller/) });
    expect(await of(60, float32([100, 3, 100, 100]), 10, 1)).toMatchObject({ size: [522, 522] });
  });

  test("draws a picture again, byte for byte, from the picture alone", async () => {
    const guided = ["--sampler", "ddpm", "--classifier-scale", "1.5", "--gradient-at", "mean", "--count", "2"];
    await sample(...guided, "--out", at("first.png"));
    const again = await guidestar(["sample", "--from", at("first.png"), "--out", at("again.png")]);
    expect(again).toMatchObject({ code: 0, out: `${at("again.png")}\n` });
    expect(await readFile(at("again.png"))).toEqual(await readFile(at("first.png")));
    expect((await specOf(at("first.png"))).model.classifier).toMatch(/^[0-9a-f]{64}$/);
  });

  test("draws the same picture for a seed, however many are drawn with it", async () => {
    await sample(
      "--class",
      "square",
      "--count",
      "3",
      "--seed",
      "4",
      "--out",
      at("three.png"),
      "--npz",
      at("three.npz"),
    );
    await sample("--class", "square", "--count", "1", "--seed", "5", "--out", at("one.png"), "--npz", at("one.npz"));
    const pixels = async (name: string) => arrayOf(readNpz(await readFile(at(name))), "arr_0", "uint8").data;
    const [three, one] = [await pixels("three.npz"), await pixels("one.npz")];
    // Float tolerance may move a value across the border of two bytes.
    expect(Math.max(...one.map((value, i) => Math.abs(value - three[64 + i]!)))).toBeLessThanOrEqual(1);
  });

  test("unconditional: the classifier steers, by the default scale", async () => {
    await sample("--unconditional", "--count", "1", "--out", at("alone.png"));
    expect((await specOf(at("alone.png"))).guidance).toMatchObject({
      unconditional: true,
      classifierScale: 2,
      cfgScale: 1,
    });
  });

  test("shows the sheet where messages go to a terminal, and nowhere else", async () => {
    const argv = ["sample", "--model", at("model"), "--steps", "2", "--count", "1", "--out", at("shown.png")];
    const shown = await guidestar(argv, { columns: 40 });
    expect(shown.messages).toMatch(/[░▒▓█]{6,}\n/);
    expect(shown.messages).toMatch(/2\/2 {2}steps/);
    expect(shown.out).toBe(`${at("shown.png")}\n`);
    expect((await guidestar(argv)).messages).not.toMatch(/[░▒▓]{6,}\n/);
  });

  test("Ctrl-C ends it with 130 and nothing written", async () => {
    const { code, out } = await guidestar(
      ["sample", "--model", at("model"), "--steps", "20", "--out", at("stopped.png")],
      {
        columns: 80,
        onMessage: (text, interrupt) => text.includes(" 1/20 ") && interrupt(),
      },
    );
    expect({ code, out }).toEqual({ code: 130, out: "" });
    expect(existsSync(at("stopped.png"))).toBe(false);
  });
});

describe("sample refuses, in one line and with nothing written:", () => {
  beforeAll(async () => {
    await sample("--count", "1", "--out", at("own.png"));
    await writeFile(at("plain.png"), await readFile(new URL("../../conformance/README.md", import.meta.url)));
    await mkdir(at("folder.png"));
  });
  test.each<[string, () => string[], number, RegExp]>([
    ["a model that is not there", () => ["--model", at("nothing")], 3, /there is no such model/],
    [
      "a class that is not there",
      () => ["--class", "hexagon"],
      2,
      /has no class "hexagon"; its classes are circle, square, star/,
    ],
    ["a sheet that is no PNG", () => ["--out", at("failed.jpg")], 2, /--out must be a file that ends in \.png/],
    ["a folder as the sheet", () => ["--out", at("folder.png")], 2, /is a folder/],
    ["a sheet below a file", () => ["--out", at("own.png", "sheet.png")], 2, /own\.png is no folder/],
    [
      "cfg-scale with --unconditional",
      () => ["--unconditional", "--cfg-scale", "3"],
      2,
      /cfgScale 3 mixes in .* which unconditional turns off; choose one/,
    ],
    ["too many steps", () => ["--sampler", "ddim", "--steps", "21"], 2, /steps must be a whole number from 1 to 20/],
    ["a spacing of no kind", () => ["--steps", "many"], 2, /respacing/],
    ["a scale that is no number", () => ["--cfg-scale", "big"], 2, /--cfg-scale must be a finite number but is "big"/],
    ["eta with ddpm", () => ["--sampler", "ddpm", "--eta", "1"], 2, /--eta belongs to ddim/],
    ["a gradient at the mean without ddpm", () => ["--gradient-at", "mean"], 2, /ddpm/],
    ["eta with a deterministic sampler", () => ["--eta", "0.5"], 2, /--eta belongs to ddim/],
    [
      "--from with what it decides",
      () => ["--from", at("own.png"), "--seed", "3"],
      2,
      /--seed cannot be given with it/,
    ],
    ["--from a file that is no picture", () => ["--from", at("plain.png")], 3, /not a PNG/],
  ])("%s", async (_, more, code, message) => {
    const argv = more();
    const out = argv.includes("--out") ? [] : ["--out", at("failed.png")];
    const { messages, ...outcome } = await guidestar(["sample", "--model", at("model"), ...out, ...argv]);
    expect(messages).toMatch(message);
    expect(messages).toMatch(/^guidestar: .*\n$/);
    expect(outcome).toEqual({ code, out: "" });
    expect([existsSync(at("failed.png")), existsSync(at("failed.jpg"))]).toEqual([false, false]);
  });

  test("--from with other weights under the same name", async () => {
    const changed = Object.fromEntries(
      Object.entries(denoiser.weights).map(([key, value]) => [key, { ...value, data: value.data.map((x) => -x) }]),
    );
    await saveModel(at("other"), { ...facts, denoiser: { ...denoiser, weights: changed } });
    const { code, messages } = await guidestar([
      "sample",
      "--from",
      at("own.png"),
      "--model",
      at("other"),
      "--out",
      at("failed.png"),
    ]);
    expect(code).toBe(3);
    expect(messages).toMatch(/drawn by other weights/);
  });
});
