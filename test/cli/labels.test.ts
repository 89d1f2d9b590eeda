import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { encodePng } from "../../src/images/png.ts";
import { tinyModel } from "../support/tiny-model.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

/** A picture of the given size at a path. */
async function picture(path: string, width = 8, height = width, shade = 0): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  const data = Uint8Array.from({ length: width * height }, (_, p) => (p * 7 + shade) % 200);
  await writeFile(at(path), encodePng({ width, height, channels: 1, data }));
}
const tiny = ["--preset", "tiny", "--batch-size", "2", "--steps", "2", "--threads", "1"];
const train = (data: string, out: string, ...more: string[]) =>
  guidestar(["train", "denoiser", "--data", at(data), "--out", at(out), ...tiny, ...more]);

describe("training", () => {
  test("says where labels are from, and leaves out classes without training images", async () => {
    for (const path of ["ab/train/a/1.png", "ab/train/a/2.png", "ab/val/a/3.png", "ab/val/b/4.png"])
      await picture(path);
    const check = await guidestar(["data", "check", at("ab")]);
    expect(check).toMatchObject({
      code: 0,
      out: expect.stringContaining("labels from folder names\nval/ is held out"),
    });
    expect(check.messages).toContain("no training images: b; training leaves such classes out");
    const { code, messages } = await train("ab", "runs/ab");
    expect(code).toBe(0);
    expect(messages).toContain("1 class without training images is left out: b (1 test image)");
    expect(messages).toMatch(/data: 2 images 8x8, grey, 1 class, labels from folder names/);
    expect((await loadModel(at("runs/ab"))).classes).toEqual(["a"]);
  });

  test("invents no label: without any, the model has no classes", async () => {
    const images = { dtype: "uint8", shape: [4, 8, 8, 1], data: new Uint8Array(256).fill(90) } as const;
    await writeFile(at("free.npz"), writeNpz({ arr_0: images }));
    const done = await train("free.npz", "runs/free");
    expect(done).toMatchObject({ code: 0, messages: expect.stringContaining("data: 4 images 8x8, grey, no labels (") });
    expect((await loadModel(at("runs/free"))).classes).toEqual([]);
    const sampled = await guidestar(["sample", "--model", at("runs/free"), "--steps", "2", "--out", at("free.png")]);
    expect(sampled).toMatchObject({ code: 0 });
    const classifier = await guidestar(["train", "classifier", "--data", at("free.npz"), "--out", at("runs/none")]);
    expect(classifier).toMatchObject({ code: 3, messages: expect.stringContaining("there are no labels") });
    const evaluated = await guidestar(["evaluate", at("free.npz"), "--size", "28", "--json", "--threads", "1"]);
    expect(JSON.parse(evaluated.out)).not.toHaveProperty("accuracy");
    expect(evaluated.out).not.toMatch(/accuracy/i);
  });

  test("of a flat folder says that there are no labels, and how to give them", async () => {
    for (const name of ["dog_1", "dog_2", "cat_1"]) await picture(`flat/${name}.png`);
    const check = await guidestar(["data", "check", at("flat")]);
    expect(check).toMatchObject({ code: 0, out: expect.stringContaining("\nno labels\n") });
    expect(check.messages).toContain("--labels from-name");
    const refused = await train("flat", "runs/flat");
    expect(refused).toMatchObject({ code: 3, messages: expect.stringMatching(/no labels: 3 images.*--labels none/) });
    expect(await train("flat", "runs/flat", "--labels", "from-name")).toMatchObject({ code: 0 });
    expect((await loadModel(at("runs/flat"))).classes).toEqual(["cat", "dog"]);
    expect(await train("flat", "runs/bare", "--labels", "none")).toMatchObject({ code: 0 });
    expect((await loadModel(at("runs/bare"))).classes).toEqual([]);
  });

  test("asks for --data where a run's images were moved", async () => {
    for (const name of ["1", "2"]) await picture(`here/a/${name}.png`);
    expect(await train("here", "runs/moved")).toMatchObject({ code: 0 });
    await rename(at("here"), at("there"));
    const resume = ["train", "denoiser", "--out", at("runs/moved"), "--resume", "--steps", "3"];
    expect(await guidestar(resume)).toMatchObject({
      code: 3,
      messages: expect.stringMatching(/here: the images of this run are no longer there; give --data/),
    });
    expect(await guidestar([...resume, "--data", at("there")])).toMatchObject({ code: 0 });
  });

  test("advises where few images are seen very often", async () => {
    await picture("few/a/1.png");
    const often = await train("few", "runs/few", "--dry-run", "--steps", "5000");
    expect(often.out).toMatch(/10,000 times through the data\nwarning: 10,000 times through 1 image is much/);
    expect(often.out).toContain("--steps 500 would be 1000 times");
    expect((await train("few", "runs/few", "--dry-run")).out).not.toContain("warning");
  });
});

describe("images that are not square", () => {
  beforeAll(async () => {
    for (const [shade, name] of ["a", "b", "c"].entries())
      for (const i of [1, 2]) await picture(`tall/${name}/${i}.png`, 8, 16, 40 * shade + i);
  });

  test("are trained, drawn, encoded, measured and exported as they are", async () => {
    expect(await train("tall", "runs/tall")).toMatchObject({ code: 0 });
    const classifier = ["train", "classifier", "--data", at("tall"), "--out", at("runs/tall"), ...tiny];
    expect(await guidestar(classifier)).toMatchObject({ code: 0 });
    const model = await loadModel(at("runs/tall"));
    expect(model.imageShape).toEqual([1, 16, 8]);
    expect(model.denoiser!.config).toMatchObject({ imageSize: 16, imageWidth: 8 });
    const model16 = ["--model", at("runs/tall"), "--steps", "2"];
    const sample = ["sample", ...model16, "--classifier-scale", "1", "--count", "2", "--out", at("tall.png")];
    expect(await guidestar(sample)).toMatchObject({ code: 0 });
    await guidestar(["sample", "--from", at("tall.png"), "--out", at("tall-again.png")]);
    expect(await sameBytes(at("tall.png"), at("tall-again.png"))).toBe(true);
    expect(await guidestar(["encode", at("tall"), ...model16, "--out", at("tall.npz")])).toMatchObject({ code: 0 });
    expect(await guidestar(["nll", at("tall"), ...model16])).toMatchObject({ code: 0 });
    expect(
      await guidestar(["export", at("runs/tall"), "--what", "step", "--steps", "2", "--out", at("tall.onnx")]),
    ).toMatchObject({ code: 0 });
    await picture("square/1.png", 8);
    const refused = await guidestar(["encode", at("square/1.png"), ...model16, "--out", at("no.npz")]);
    expect(refused.messages).toContain("knows images of 8x16; resize them to 8x16 first");
  });

  test("are cropped to squares where that is asked for", async () => {
    expect(await train("tall", "runs/cropped", "--size", "8")).toMatchObject({ code: 0 });
    expect((await loadModel(at("runs/cropped"))).imageShape).toEqual([1, 8, 8]);
  });
});

describe("--class", () => {
  const classesOf = async (model: string, names?: string) => {
    const given = names === undefined ? [] : ["--class", names];
    const done = await guidestar([
      "sample",
      "--model",
      at(model),
      "--steps",
      "1",
      "--json",
      "--out",
      at("x.png"),
      ...given,
    ]);
    return done.code === 0 ? [...new Set(JSON.parse(done.out).classes)] : done.messages;
  };
  const withClasses = async (name: string, classes: [string, string, string]) => {
    await saveModel(at(name), { ...tinyModel(), classes });
    return name;
  };

  test("names a class called all; a star is every class", async () => {
    const model = await withClasses("all", ["all", "other", "third"]);
    expect(await classesOf(model, "all")).toEqual(["all"]);
    expect(await classesOf(model, "*")).toEqual(["all", "other", "third"]);
    expect(await classesOf(model)).toEqual(["all", "other", "third"]);
    expect(await classesOf(await withClasses("usual", ["a", "b", "c"]), "all")).toEqual(["a", "b", "c"]);
  });

  test("names classes with commas, beside others", async () => {
    const model = await withClasses("commas", ["salt, coarse", "a,b", "a"]);
    expect(await classesOf(model, "a,b")).toEqual(["a,b"]);
    expect(await classesOf(model, "a,b,salt, coarse")).toEqual(["a,b", "salt, coarse"]);
    expect(await classesOf(model, "0,a,b")).toEqual(["salt, coarse", "a,b"]);
  });

  test("means names where classes have numbers as names, and any Unicode form", async () => {
    const model = await withClasses("numbers", ["3", "7", "9"]);
    expect(await classesOf(model, "7")).toEqual(["7"]);
    expect(await classesOf(model, "1")).toMatch(/has no class "1"; its classes are 3, 7, 9/);
    expect(await classesOf(await withClasses("caf", ["caf\u00e9", "b", "c"]), "cafe\u0301")).toEqual(["caf\u00e9"]);
  });
});
