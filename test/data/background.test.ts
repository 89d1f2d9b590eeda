import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { openImagesFor } from "../../src/data/model-images.ts";
import { UsageError } from "../../src/errors.ts";
import { decodeImage } from "../../src/images/decode.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { classifierRecipe } from "../../src/recipes/classifier.ts";
import { guidestar, temporaryFolder } from "../cli/world.ts";
import { folderOf, png } from "./make.ts";

const folder = temporaryFolder();
/** Opaque, half, and clear: the pixels of each picture. */
const ALPHAS = [255, 128, 0];
const rgba = (red: number, green: number, blue: number): Uint8Array =>
  Uint8Array.from(ALPHAS.flatMap((alpha) => [red, green, blue, alpha]));
const raw = (data: Uint8Array, channels: 2 | 4) => sharp(data, { raw: { width: 3, height: 1, channels } });

/** value alpha + background (1 - alpha), as the definition of "over" has it, of each pixel and channel. */
const over = (colour: readonly number[], behind: readonly number[]): number[] =>
  ALPHAS.flatMap((alpha) => colour.map((value, c) => (value * alpha + behind[c]! * (255 - alpha)) / 255));

const ORANGE = [0xff, 0x80, 0x20];
const COLOURS = { white: [255, 255, 255], black: [0, 0, 0], "#ff8020": ORANGE } as const;

describe("transparent pixels show the background", () => {
  const colour = [200, 100, 40] as const;
  const grey = Uint8Array.from(ALPHAS.flatMap((alpha) => [100, alpha]));
  const files = {
    "RGB and alpha of 8 bits": { bytes: () => png(rgba(...colour), 3, 1, 4), colour },
    "RGB and alpha of 16 bits": {
      bytes: () =>
        raw(rgba(...colour), 4)
          .toColourspace("rgb16")
          .png()
          .toBuffer(),
      colour,
    },
    "a palette with tRNS": {
      bytes: () =>
        raw(rgba(...colour), 4)
          .png({ palette: true })
          .toBuffer(),
      colour,
    },
    "grey and alpha of 8 bits": { bytes: () => png(grey, 3, 1, 2), colour: [100, 100, 100] },
    "grey and alpha of 16 bits": {
      bytes: () => raw(grey, 2).toColourspace("grey16").png().toBuffer(),
      colour: [100, 100, 100],
    },
  };
  for (const [name, file] of Object.entries(files))
    for (const [background, behind] of Object.entries(COLOURS))
      test(`${name} on ${background}`, async () => {
        const { data, channels, transparent } = await decodeImage(await file.bytes(), { background });
        expect(transparent).toBe(true);
        expect(channels).toBe(name.startsWith("grey") && background !== "#ff8020" ? 1 : 3);
        const wanted = over(file.colour, behind).filter((_, i) => channels === 3 || i % 3 === 0);
        expect(Math.max(...wanted.map((value, i) => Math.abs(data[i]! - value)))).toBeLessThanOrEqual(1);
      });

  test("white where nothing is said; what is opaque shows none of it", async () => {
    expect((await decodeImage(await png(grey, 3, 1, 2))).data.at(-1)).toBe(255);
    const opaque = Uint8Array.of(100, 255, 30, 255, 0, 255);
    for (const background of ["white", "#ff8020"])
      expect(await decodeImage(await png(opaque, 3, 1, 2), { background })).toEqual({
        width: 3,
        height: 1,
        channels: 1,
        data: Uint8Array.of(100, 30, 0),
      });
  });
});

describe("a data set", () => {
  const images = async () => ({
    "cat/1.png": await png(
      Uint8Array.from({ length: 128 }, (_, i) => (i % 2 === 0 ? 90 : i < 64 ? 0 : 255)),
      8,
      8,
      2,
    ),
    "dog/1.png": await png(new Uint8Array(64).fill(7), 8, 8),
  });

  test("has a background, counts the images that show it, and becomes colour with it", async () => {
    const root = await folderOf(await images());
    const cache = join(folder.path, "packed");
    const open = (background?: string) => openDataset(root, { cache, background });
    const white = await open();
    expect([white.background, white.transparent, white.imageShape[0], white.train.images[0]]).toEqual([
      "white",
      1,
      1,
      255,
    ]);
    const orange = await open("#ff8020");
    expect([orange.imageShape[0], orange.transparent]).toEqual([3, 1]);
    expect([0, 64, 128].map((at) => orange.train.images[at])).toEqual(ORANGE);
    expect([192, 256, 320].map((at) => orange.train.images[at])).toEqual([7, 7, 7]);
    // From the cache, each its own.
    const again = await open("#ff8020");
    expect([again.cache?.state, again.transparent, again.train.images]).toEqual(["read", 1, orange.train.images]);
    expect((await open("black")).train.images[0]).toBe(0);
    expect((await open("white")).cache?.state).toBe("read");
    await expect(open("red")).rejects.toThrow(/background must be white, black or a colour as #rrggbb but is "red"/);
    await expect(open("red")).rejects.toBeInstanceOf(UsageError);
  });

  test("is opened on the background of a model, and another one is said", async () => {
    const root = await folderOf(await images());
    const model = { source: "runs/a", imageShape: [1, 8, 8], preprocessing: { background: "black" } } as const;
    const own = await openImagesFor(root, model, { cache: false });
    expect([own.background, own.train.images[0], own.notes]).toEqual(["black", 0, []]);
    const other = await openImagesFor(root, model, { cache: false, background: "white" });
    expect(other.notes).toEqual(["transparent pixels show white, as asked, but showed black when runs/a was trained"]);
    expect((await openImagesFor(root, { ...model, preprocessing: {} }, { cache: false })).background).toBe("white");
  });

  test("is described with its background, which a model records, keeps, and lets nobody contradict", async () => {
    const root = await folderOf(await images());
    const checked = await guidestar(["data", "check", root, "--background", "BLACK"]);
    expect(checked.out).toContain("transparent pixels on black (1 image has some)");
    const out = join(folder.path, "model");
    const dataset = await openDataset(root, { cache: false, background: "black" });
    const recipe = classifierRecipe({ dataset, preset: "tiny" });
    const weights = initialize(recipe.network, 0);
    const record = await saveModel(out, recipe.model(weights));
    expect(record.preprocessing).toEqual({ background: "black" });
    const white = classifierRecipe({ dataset: { ...dataset, background: "white" }, preset: "tiny" });
    await expect(saveModel(out, white.model(weights))).rejects.toThrow(
      /has background "black", but "white" should join/,
    );
    const train = ["train", "denoiser", "--data", root, "--out", out, "--preset", "tiny", "--dry-run"];
    const refused = await guidestar([...train, "--background", "white"]);
    expect([refused.code, refused.messages]).toEqual([
      2,
      expect.stringMatching(/--background is white, but the model in .* on black/),
    ]);
  });
});
