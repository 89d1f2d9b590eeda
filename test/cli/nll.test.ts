import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { encodePng } from "../../src/images/png.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

/** Five images of the tiny model's classes, in a folder, as an npz, and loose; the same pixels everywhere. */
const labels = [0, 0, 1, 2, 2];
const names = ["circle", "square", "star"];
const picture = (n: number): Uint8Array => Uint8Array.from({ length: 64 }, (_, p) => (p * (n + 3)) % 256);
beforeAll(async () => {
  await saveModel(at("model"), tinyModel());
  for (const [n, label] of labels.entries()) {
    const png = encodePng({ width: 8, height: 8, channels: 1, data: picture(n) });
    for (const path of [at("images", names[label]!), at("loose"), at("others", "dog")]) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, `${n}.png`), png);
    }
  }
  const data = Uint8Array.from(labels.flatMap((_, n) => [...picture(n)]));
  const arrays = {
    arr_0: { dtype: "uint8", shape: [5, 8, 8, 1], data },
    arr_1: { dtype: "int64", shape: [5], data: BigInt64Array.from(labels, BigInt) },
  } as const;
  await writeFile(at("images.npz"), writeNpz(arrays));
  await writeFile(at("unlabelled.npz"), writeNpz({ arr_0: arrays.arr_0 }));
  const arr_1 = { ...arrays.arr_1, data: BigInt64Array.of(0n, 2n, 1n, 12n, 2n) };
  await writeFile(at("unknown.npz"), writeNpz({ ...arrays, arr_1 }));
});

const nll = (path: string, ...argv: string[]) =>
  guidestar(["nll", path, "--model", at("model"), "--threads", "1", ...argv]);
const bound = async (path: string, ...argv: string[]) => {
  const { code, out, messages } = await nll(path, "--json", ...argv);
  expect({ code, messages }).toMatchObject({ code: 0 });
  return JSON.parse(out);
};

describe("nll", () => {
  test("says the bound, and writes its terms as a table and a chart", async () => {
    const files = ["--csv", at("out", "terms.csv"), "--plot", at("out", "terms.svg")];
    const { code, out, messages } = await nll(at("images"), "--batch", "2", ...files);
    expect(code).toBe(0);
    expect(messages).toContain("classes of the data: circle, square, star");
    expect(out).toMatch(/^[\d.]+ bits per dimension \(standard error [\d.]+\), 5 images, 20 timesteps\n/);
    expect(out.trimEnd().split("\n").slice(-2)).toEqual([at("out", "terms.csv"), at("out", "terms.svg")]);
    const [head, ...rows] = (await readFile(at("out", "terms.csv"), "utf8")).trimEnd().split("\n");
    expect(head).toBe("timestep,vb,xstart_mse,mse");
    const numbers = rows.map((row) => row.split(",").map(Number));
    expect(numbers.map(([timestep]) => timestep)).toEqual(Array.from({ length: 20 }, (_, t) => t));
    const prior = Number(/^prior +(\S+)$/m.exec(out)![1]);
    const total = numbers.reduce((sum, [, vb]) => sum + vb!, prior);
    expect(Math.abs(total / Number.parseFloat(out) - 1)).toBeLessThan(1e-4);
    expect((await sharp(at("out", "terms.svg")).metadata()).format).toBe("svg");
  });

  test("a folder and an npz of the same images have the same bound; timesteps are kept as asked", async () => {
    const [a, b] = [await bound(at("images"), "--steps", "4"), await bound(at("images.npz"), "--respacing", "4")];
    expect(a).toMatchObject({ images: 5, split: "train" });
    expect(a.terms.map(({ timestep }: { timestep: number }) => timestep)).toEqual([0, 6, 13, 19]);
    expect(b.perImage).toEqual(a.perImage);
    expect((await bound(at("images"), "--steps", "4", "--seed", "1")).total).not.toBe(a.total);
    expect(await bound(at("images"), "--steps", "4", "--count", "2")).toMatchObject({ images: 2 });
  });

  test("counts in words", async () => {
    const one = await nll(at("images"), "--steps", "1", "--count", "1");
    expect(one.out).toMatch(/^[\d.]+ bits per dimension, 1 image, 1 timestep\n(.*\n)*others +\S+ over 0 timesteps\n$/);
    expect((await nll(at("images"), "--steps", "2")).out).toMatch(
      /, 5 images, 2 timesteps\n(.*\n)*others .* over 1 timestep\n$/,
    );
  });

  test("images without a class need to be told one, or none", async () => {
    const refused = await nll(at("loose"), "--steps", "2");
    expect(refused).toMatchObject({ code: 3, out: "" });
    expect(refused.messages).toMatch(/no class folders.*--class/);
    const arrays = await nll(at("unlabelled.npz"), "--steps", "2");
    expect(arrays).toMatchObject({ code: 3, out: "" });
    expect(arrays.messages).toMatch(/unlabelled\.npz: it has no labels.*arr_1, or give --class/);
    const [star, none] = [
      await bound(at("loose"), "--steps", "2", "--class", "star"),
      await bound(at("loose"), "--steps", "2", "--unconditional"),
    ];
    expect(star.images).toBe(5);
    const one = await bound(at("loose", "0.png"), "--steps", "2", "--class", "star");
    expect(one.perImage).toEqual(star.perImage.slice(0, 1));
    expect(none.total).not.toBe(star.total);
    expect(await bound(at("unlabelled.npz"), "--steps", "2", "--class", "star")).toMatchObject({ total: star.total });
    // The last two images are stars, and their noise is the same.
    expect(star.perImage.slice(3)).toEqual((await bound(at("images"), "--steps", "2")).perImage.slice(3));
  });

  test.each([
    ["a class that the model lacks", ["others"], 3, /"dog" is none of the model's/],
    [
      "a label that the model lacks",
      ["unknown.npz"],
      3,
      /unknown.npz: its class "12" is none .*; change its label, or/,
    ],
    ["no images", ["nowhere"], 3, /nowhere/],
    ["two ways of saying the timesteps", ["images", "--steps", "2", "--respacing", "2"], 2, /leave one out/],
    ["more timesteps than there are", ["images", "--steps", "21"], 2, /at most 20/],
    ["more images than there are", ["images", "--count", "6"], 2, /at most/],
    ["a split that is not there", ["images", "--split", "test"], 3, /no test images/],
    ["another kind of file", ["images", "--plot", "x.png"], 2, /\.svg/],
  ] as [string, string[], number, RegExp][])("refuses %s", async (_, [path, ...argv], code, message) => {
    const outcome = await nll(at(path!), "--csv", at("none", "x.csv"), ...argv);
    expect(outcome).toMatchObject({ code, out: "" });
    expect(outcome.messages).toMatch(message);
    expect(existsSync(at("none"))).toBe(false);
  });

  test("resizes images where that is asked for", async () => {
    const big = encodePng({ width: 16, height: 12, channels: 3, data: new Uint8Array(16 * 12 * 3).fill(90) });
    await mkdir(at("big"));
    await writeFile(at("big", "1.png"), big);
    await saveModel(at("unsized"), { ...tinyModel(), preprocessing: {} });
    const argv = ["nll", at("big"), "--model", at("unsized"), "--class", "1", "--steps", "2"];
    const refused = await guidestar(argv);
    expect(refused).toMatchObject({ code: 3, out: "" });
    expect(refused.messages).toMatch(/16x12 .* give --size 8/);
    expect(await guidestar([...argv, "--size", "8"])).toMatchObject({ code: 0 });
  });

  test("Ctrl-C ends it, and nothing is written", async () => {
    const outcome = await guidestar(
      ["nll", at("images"), "--model", at("model"), "--batch", "1", "--csv", at("none", "x.csv")],
      { columns: 80, onMessage: (text, interrupt) => /runs/.test(text) && interrupt() },
    );
    expect(outcome).toMatchObject({ code: 130, out: "" });
    expect(existsSync(at("none"))).toBe(false);
  });
});
