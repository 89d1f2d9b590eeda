import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zipSync } from "fflate";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { arrayOf, readNpz, writeNpz } from "../../src/formats/npz.ts";
import { encodePng, readPngText } from "../../src/images/png.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const pixels = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) % 256);
const picture = (width: number, height: number, data: Uint8Array) => encodePng({ width, height, channels: 1, data });
beforeAll(async () => {
  await saveModel(at("model"), tinyModel());
  await writeFile(at("picture.png"), picture(8, 8, pixels));
  const half = Uint8Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 0 : 255));
  await writeFile(at("mask.png"), picture(8, 8, half));
  await writeFile(at("small.png"), picture(4, 4, new Uint8Array(16).fill(255)));
  await writeFile(at("black.png"), picture(8, 8, new Uint8Array(64)));
});

const run = (command: string, ...more: string[]) => guidestar([command, ...more, "--threads", "1"]);
const sample = (...more: string[]) => run("sample", "--model", at("model"), ...more);
const fromPicture = (...more: string[]) => sample("--init", at("picture.png"), "--steps", "5", ...more);

describe("encode", () => {
  test("writes latents that sample decodes with the same steps, as the same class or another", async () => {
    const more = ["--model", at("model"), "--class", "star", "--steps", "20", "--out", at("latents.npz"), "--json"];
    const { code, out } = await run("encode", at("picture.png"), ...more);
    expect(code).toBe(0);
    const { errors, run: spec } = JSON.parse(out);
    expect(errors).toHaveLength(1);
    const arrays = readNpz(await readFile(at("latents.npz")));
    expect(arrayOf(arrays, "arr_0", "float32").shape).toEqual([1, 1, 8, 8]);
    expect(Array.from(arrayOf(arrays, "arr_1", "int64").data, Number)).toEqual([2]);

    const decode = (name: string, ...options: string[]) =>
      run(
        "sample",
        "--from-latents",
        at("latents.npz"),
        "--out",
        at(`${name}.png`),
        "--npz",
        at(`${name}.npz`),
        ...options,
      );
    expect((await decode("same")).code).toBe(0);
    const decoded = arrayOf(readNpz(await readFile(at("same.npz"))), "arr_0", "uint8").data;
    const rms = Math.sqrt(decoded.reduce((sum, value, i) => sum + (value - pixels[i]!) ** 2, 0) / 64);
    // Bytes are truncated: half of one on average.
    expect(Math.abs(rms - errors[0])).toBeLessThan(1);
    const record = JSON.parse(readPngText(await readFile(at("same.png"))).guidestar!);
    expect(record).toMatchObject({
      labels: [2],
      sampler: spec.sampler,
      input: { kind: "latents", path: at("latents.npz") },
    });

    expect((await decode("other", "--class", "circle")).code).toBe(0);
    expect(await sameBytes(at("same.png"), at("other.png"))).toBe(false);
    expect((await run("sample", "--from", at("other.png"), "--out", at("again.png"))).code).toBe(0);
    expect(await sameBytes(at("other.png"), at("again.png"))).toBe(true);
  });

  test("a zip is one by its first bytes, whatever its name", async () => {
    const pictures = [1, 5].map((step) =>
      picture(
        8,
        8,
        pixels.map((value) => value * step),
      ),
    );
    const files = Object.fromEntries(pictures.map((bytes, i) => [`star/${i}.png`, bytes]));
    for (const name of ["pictures.zip", "pictures"]) await writeFile(at(name), zipSync(files));
    const errors = async (name: string) => {
      const { code, out } = await run(
        "encode",
        at(name),
        "--model",
        at("model"),
        "--steps",
        "2",
        "--out",
        at("zip.npz"),
        "--json",
      );
      expect(code).toBe(0);
      return JSON.parse(out).errors;
    };
    expect(await errors("pictures")).toHaveLength(2);
    expect(await errors("pictures")).toEqual(await errors("pictures.zip"));
    const { code, messages } = await run("encode", at("nowhere"), "--model", at("model"), "--out", at("zip.npz"));
    expect({ code, messages }).toMatchObject({
      code: 3,
      messages: expect.stringContaining("nowhere: no such file or folder"),
    });
  });

  test("decodes as every class in turn where all are asked for, told or not when they were encoded", async () => {
    const data = Uint8Array.from({ length: 192 }, (_, i) => (i * 37) % 256);
    await writeFile(at("three.npz"), writeNpz({ arr_0: { dtype: "uint8", shape: [3, 8, 8, 1], data } }));
    const decodeThree = (name: string, ...more: string[]) =>
      run("sample", "--from-latents", at("three-latents.npz"), "--out", at(name), "--json", ...more);
    for (const [shown, ...told] of [
      ["star", "--class", "star"],
      ["none", "--unconditional"],
    ] as const) {
      const options = ["--model", at("model"), "--steps", "3", "--out", at("three-latents.npz")];
      const { out } = await run("encode", at("three.npz"), ...options, ...told);
      expect(out).toMatch(new RegExp(`^0 {2}class ${shown} {2}error .*\n1 {2}class ${shown} `));
      const all = await decodeThree("all.png", "--class", "all");
      expect(JSON.parse(all.out).classes).toEqual(["circle", "square", "star"]);
      expect((await decodeThree("listed.png", "--class", "circle,square,star")).code).toBe(0);
      expect(await sameBytes(at("all.png"), at("listed.png"))).toBe(true);
    }
    expect(JSON.parse((await decodeThree("untold.png")).out).classes).toEqual([null, null, null]);
    expect(await decodeThree("none.png", "--cfg-scale", "2")).toMatchObject({
      code: 2,
      messages: expect.stringMatching(/--cfg-scale 2 .* encoded without one; give --class too/),
    });
  });

  test("reads folders without classes, and needs to be told one", async () => {
    await writeImages(at("images"), 2);
    const options = ["--model", at("model"), "--steps", "3", "--out", at("folder.npz")];
    const { code, out } = await run("encode", at("images", "dark"), ...options, "--class", "1");
    expect(code).toBe(0);
    expect(out).toMatch(/^0 {2}class square {2}error [\d.]+\n1 {2}class square .*\nmean error [\d.]+ of 255\n/);
    const data = Uint8Array.from([...pixels, ...pixels.toReversed()]);
    const arr_0 = { dtype: "uint8", shape: [2, 8, 8, 1], data } as const;
    await writeFile(at("unlabelled.npz"), writeNpz({ arr_0 }));
    for (const [path, why] of [
      [at("images", "dark"), "its images are in no class folders"],
      [at("unlabelled.npz"), "it has no labels"],
      [at("picture.png"), "a picture tells no class"],
    ] as const) {
      const refused = await run("encode", path, ...options);
      expect(refused).toMatchObject({ code: 3, messages: expect.stringContaining(`${path}: ${why}, but `) });
      expect(refused.messages).toMatch(/give --class or --unconditional/);
    }
    const unknown = `${at("images")}: its class "dark" is none of the model's (circle, square, star)`;
    expect(await run("encode", at("images"), ...options)).toMatchObject({
      code: 3,
      messages: expect.stringContaining(unknown),
    });
  });

  test("resizes a picture as the model's training did, or as asked; reads the test images where asked", async () => {
    const wide = Uint8Array.from({ length: 32 * 16 }, (_, i) => ((i % 32) * 8) % 256);
    await writeFile(at("wide.png"), picture(32, 16, wide));
    const options = ["--model", at("model"), "--class", "1", "--steps", "3", "--out", at("sized.npz")];
    expect((await run("encode", at("wide.png"), ...options)).code).toBe(0);
    const refused = await run("encode", at("wide.png"), ...options, "--size", "16");
    expect(refused).toMatchObject({
      code: 3,
      messages: expect.stringMatching(/wide.png: the images are 16x16 but .* knows images of 8x8; give --size 8/),
    });

    await writeImages(at("both", "train"), 3);
    await writeImages(at("both", "test"), 1);
    const lines = async (...more: string[]) =>
      (await run("encode", at("both"), ...options, ...more)).out.match(/ error /g);
    expect(await lines()).toHaveLength(7); // and the mean
    expect(await lines("--split", "test")).toHaveLength(3);
    const none = await run("encode", at("images"), ...options, "--split", "test");
    expect(none).toMatchObject({ code: 3, messages: expect.stringMatching(/no test images/) });
  });
});

describe("sample --init", () => {
  test("with --mask keeps the known pixels, byte for byte, and draws the same again", async () => {
    const files = ["--out", at("inpainted.png"), "--npz", at("inpainted.npz")];
    const { code } = await fromPicture("--mask", at("mask.png"), "--resample", "2", "--count", "2", ...files);
    expect(code).toBe(0);
    const { data } = arrayOf(readNpz(await readFile(at("inpainted.npz"))), "arr_0", "uint8");
    const known = (values: Uint8Array) => values.filter((_, i) => i % 8 < 4);
    expect(known(data)).toEqual(Uint8Array.from([...known(pixels), ...known(pixels)]));
    expect((await run("sample", "--from", at("inpainted.png"), "--out", at("redrawn.png"))).code).toBe(0);
    expect(await sameBytes(at("inpainted.png"), at("redrawn.png"))).toBe(true);
  });

  test("with a mask that is black everywhere gives the picture back, and says so", async () => {
    const files = ["--out", at("kept.png"), "--npz", at("kept.npz")];
    const kept = await fromPicture("--mask", at("black.png"), "--count", "1", ...files);
    expect(kept).toMatchObject({ code: 0, messages: expect.stringContaining("the mask is black everywhere") });
    expect(arrayOf(readNpz(await readFile(at("kept.npz"))), "arr_0", "uint8").data).toEqual(pixels);
  });

  test("--from notices that the file is another one now", async () => {
    await writeFile(at("changing.png"), picture(8, 8, pixels));
    const options = ["--steps", "5", "--strength", "0.6", "--count", "1", "--out", at("changed.png")];
    expect((await sample("--init", at("changing.png"), ...options)).code).toBe(0);
    await writeFile(at("changing.png"), picture(8, 8, pixels.toReversed()));
    const { code, messages } = await run("sample", "--from", at("changed.png"), "--out", at("never.png"));
    expect(code).toBe(3);
    expect(messages).toMatch(/changing\.png: is not the file that the picture was made from/);
  });

  test.each([
    [["--strength", "0"], 2, /strength must be above 0/],
    [["--strength", "1.0001"], 2, /strength must be above 0.* at most 1/],
    [["--strength", "0.1"], 2, /less than one step/],
    [[], 2, /--init needs --strength.* or --mask/],
    [["--resample", "3", "--strength", "0.5"], 2, /--resample needs --mask/],
    [["--mask", "small.png"], 3, /is 4x4 but a mask for the pictures of .* must be 8x8/],
  ] as const)("%j is refused", async (options, exit, message) => {
    const placed = options.map((option) => (option.endsWith(".png") ? at(option) : option));
    const { code, messages } = await fromPicture(...placed, "--out", at("refused.png"));
    expect(messages).toMatch(message);
    expect(code).toBe(exit);
  });
});

test("--from names a damaged picture", async () => {
  await writeFile(at("cut.png"), picture(8, 8, pixels).subarray(0, -20));
  const { code, messages } = await run("sample", "--from", at("cut.png"), "--out", at("x.png"));
  expect(messages).toContain(`${at("cut.png")}: cannot be read (png: its IDAT chunk is truncated`);
  expect(code).toBe(3);
});

test("--from-latents refuses what the latents decide, and files that are none", async () => {
  await writeFile(at("none.npz"), "no archive");
  const decode = (...more: string[]) => run("sample", "--from-latents", at("none.npz"), "--out", at("x.png"), ...more);
  expect(await decode("--steps", "3")).toMatchObject({
    code: 2,
    messages: expect.stringMatching(/--steps cannot be given/),
  });
  expect(await decode()).toMatchObject({ code: 3, messages: expect.stringMatching(/no latents of guidestar encode/) });
});
