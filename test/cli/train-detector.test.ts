import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readDetector } from "../../src/checkpoint/detector-folder.ts";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { encodePng } from "../../src/images/png.ts";
import type { NDArray } from "../../src/ndarray.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { uniforms } from "../../src/random.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";
import { guidestar, sameBytes, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);

/** Noise that is reddish or bluish, 8x8. */
const picture = (label: number, seed: number): Uint8Array =>
  Uint8Array.from(uniforms(5, seed, 192), (u, i) => 160 * u + (i % 3 === (label === 0 ? 0 : 2) ? 90 : 0));

beforeAll(async () => {
  for (const [label, name] of ["red", "blue"].entries()) {
    await mkdir(at("images", name), { recursive: true });
    for (let i = 0; i < 40; i++) {
      const data = picture(label, 2 * i + label);
      await writeFile(at("images", name, `${i}.png`), encodePng({ width: 8, height: 8, channels: 3, data }));
    }
  }
});

const train = (out: string, ...more: string[]) => [
  ...["train", "detector", "--data", at("images"), "--out", at(out), "--threads", "1", "--batch-size", "8"],
  ...["--steps", "30", "--checkpoint-every", "10", ...more],
];

describe("train detector", () => {
  beforeAll(async () => {
    expect(await guidestar(train("detector"))).toMatchObject({ code: 0, out: `${at("detector")}\n` });
  });

  test("writes a detector that reads images it was not trained on, and says how well", async () => {
    const { record, features, statistics } = await readDetector(at("detector"));
    expect(record).toMatchObject({
      classes: ["blue", "red"],
      imageShape: [3, 8, 8],
      accuracy: { of: expect.stringMatching(/^\d+ images held out by their content$/) },
      reference: { apart: true },
      training: { steps: 30, step: 30, data: "images" },
    });
    const { value, error, images } = record.accuracy;
    expect(value).toBeGreaterThan(0.8);
    expect(error).toBeCloseTo(Math.sqrt((value * (1 - value)) / images), 12);
    const learnt = 80 - images;
    expect(record.training!.images).toBe(learnt);
    expect(record.reference).toMatchObject({ name: `${learnt} images of images`, images: learnt });
    expect(features.features!.shape).toEqual([learnt, 128]);
    expect(features.real!.shape).toEqual([images, 128]);
    expect(statistics.sigma!.shape).toEqual([128, 128]);
  });

  test("what others are compared with are the images that it was trained on, without those that were held out", async () => {
    const { features, statistics } = await readDetector(at("detector"));
    const rowsOf = ({ shape, data }: NDArray<"float32">) =>
      Array.from({ length: shape[0]! }, (_, i) => data.subarray(128 * i, 128 * (i + 1)));
    const [learnt, real] = [rowsOf(features.features!), rowsOf(features.real!)];
    const known = new Set(learnt.map((row) => row.join()));
    expect(real.filter((row) => known.has(row.join()))).toEqual([]);
    // Features are stored as float16, the mean was taken before.
    for (const [k, mean] of statistics.mu!.data.entries())
      expect(learnt.reduce((sum, row) => sum + row[k]!, 0) / learnt.length).toBeCloseTo(mean, 2);
  });

  test("info says what a detector is, alone in a folder or beside a model; a denoiser's training names the command where none fits", async () => {
    const told =
      /^detector {4}residual-features, [\d,]+ parameters .*; reads [\d.]+% ± [\d.]+% of \d+ images held out by their content; compares with \d+ images of images$/m;
    const alone = await guidestar(["info", at("detector")]);
    expect(alone).toMatchObject({ code: 0, out: expect.stringMatching(told) });
    expect(alone.out).toMatch(/images +8x8, colour\nclasses +2: blue, red\n/);
    const json = JSON.parse((await guidestar(["info", at("detector"), "--json"])).out);
    expect(json).toMatchObject({ detector: { classes: ["blue", "red"], reference: { apart: true } } });

    const denoiser = (out: string) => [
      ...["train", "denoiser", "--data", at("images"), "--out", at(out), "--preset", "tiny", "--steps", "1"],
      ...["--batch-size", "2", "--labels", "from-folder", "--threads", "1", "--process", "flow"],
    ];
    const bare = await guidestar(denoiser("measured"));
    const command = `train detector --data ${at("images")} --labels from-folder --out ${at("measured")}`;
    expect(bare).toMatchObject({ code: 0, messages: expect.stringContaining(`of its images: guidestar ${command}\n`) });
    const made = await guidestar([...command.split(" "), "--steps", "2", "--batch-size", "4", "--threads", "1"]);
    expect({ code: made.code, messages: made.messages }).toMatchObject({ code: 0 });
    const both = await guidestar(["info", at("measured")]);
    expect(both.out).toMatch(told);
    expect(both.out).toMatch(/^denoiser {4}adm-unet/m);
    const again = await guidestar([...denoiser("measured"), "--resume", "--steps", "2"]);
    expect({ code: again.code, messages: again.messages }).toMatchObject({ code: 0 });
    expect(again.messages).not.toContain("train detector");
  });

  test("goes on after Ctrl-C as if it had not been stopped", async () => {
    const stopped = await guidestar(train("stopped"), {
      columns: 200,
      onMessage: (text, interrupt) => / 1\d\/30 /.test(text) && interrupt(),
    });
    expect(stopped.code).toBe(130);
    const [, command] = /to go on: guidestar (.*)\n$/.exec(stopped.messages) ?? [];
    expect(command).toBe(`train detector --out ${at("stopped")} --resume`);
    const resumed = await guidestar(command!.split(" "));
    expect({ code: resumed.code, messages: resumed.messages }).toMatchObject({ code: 0 });
    for (const file of ["detector.safetensors", "detector-statistics.safetensors", "detector-features.safetensors"])
      expect(await sameBytes(at("stopped", file), at("detector", file)), file).toBe(true);
    const again = await guidestar(train("stopped"));
    expect(again).toMatchObject({ code: 2, messages: expect.stringContaining("already holds a detector") });
  });

  test("a dry run writes nothing; one class is refused", async () => {
    const dry = await guidestar(train("none", "--dry-run"));
    expect(dry).toMatchObject({ code: 0, out: expect.stringMatching(/^time: about/) });
    await expect(readDetector(at("none"))).rejects.toThrow(/there is no detector here/);
    await mkdir(at("one", "red"), { recursive: true });
    await writeFile(at("one", "red", "1.png"), await readFile(at("images", "red", "1.png")));
    const one = await guidestar(["train", "detector", "--data", at("one"), "--out", at("none")]);
    expect(one).toMatchObject({ code: 3, messages: expect.stringMatching(/at least 2 classes but there is 1/) });
  });

  test("is read again only as it was written", async () => {
    await mkdir(at("damaged"), { recursive: true });
    for (const name of ["detector.json", "detector.safetensors", "detector-statistics.safetensors"])
      await writeFile(at("damaged", name), await readFile(at("detector", name)));
    await expect(readDetector(at("damaged"))).rejects.toThrow(/detector-features.safetensors: detector.json names/);
    const features = await readFile(at("detector", "detector-features.safetensors"));
    features[features.length - 1]! ^= 1;
    await writeFile(at("damaged", "detector-features.safetensors"), features);
    await expect(readDetector(at("damaged"))).rejects.toThrow(/it is damaged/);
  });
});

describe("measuring with it", () => {
  const samples = async (name: string, label: (i: number) => number, count = 8): Promise<string> => {
    const data = new Uint8Array(count * 192);
    for (let i = 0; i < count; i++) data.set(picture(label(i), 500 + i), i * 192);
    const arr_1 = {
      dtype: "int64",
      shape: [count],
      data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i % 2)),
    } as const;
    await writeFile(at(name), writeNpz({ arr_0: { dtype: "uint8", shape: [count, 8, 8, 3], data }, arr_1 }));
    return at(name);
  };

  test("evaluate needs no data, and prints what as many real images get", async () => {
    // Labels by number: 0 is blue.
    const right = await samples("right.npz", (i) => 1 - (i % 2));
    const report = JSON.parse((await guidestar(["evaluate", right, "--detector", at("detector"), "--json"])).out);
    const { images } = (await readDetector(at("detector"))).record.reference;
    expect(report).toMatchObject({ detector: expect.stringMatching(/^detector \(/), samples: 8, reference: images });
    expect(report.accuracy).toBeGreaterThan(0.7);
    expect(report.real).toMatchObject({ images: 8, fid: expect.any(Number), sfid: expect.any(Number) });
    const wrong = await samples("wrong.npz", () => 0);
    const { out } = await guidestar(["evaluate", wrong, "--detector", at("detector")]);
    expect(out).toMatch(/Frechet distance +[\d.]+ +± [\d.]+ +real: [\d.]+ +± [\d.]+\n/);
    const other = JSON.parse((await guidestar(["evaluate", wrong, "--detector", at("detector"), "--json"])).out);
    expect(other.accuracy).toBeLessThan(0.7);
    expect(other.fid).toBeGreaterThan(report.fid);
  });

  test("real images are held-out ones; a detector of earlier versions, which counted them among the reference, takes others", async () => {
    const right = await samples("again.npz", (i) => 1 - (i % 2));
    const told = async (detector: string): Promise<string> => {
      const { code, out, messages } = await guidestar(["evaluate", right, "--detector", at(detector)]);
      expect({ code, messages }).toMatchObject({ code: 0 });
      return out;
    };
    expect(await told("detector")).toContain("8 held-out images");
    await cp(at("detector"), at("earlier"), { recursive: true });
    const record = JSON.parse(await readFile(at("earlier", "detector.json"), "utf8"));
    delete record.reference.apart;
    await writeFile(at("earlier", "detector.json"), JSON.stringify(record));
    expect(await told("earlier")).toContain("8 images of the reference, against its others");
  });

  test("sweep takes that which the model carries", async () => {
    const dataset = await openDataset(at("images"), { cache: false });
    const recipe = denoiserRecipe({ dataset, preset: "tiny" });
    await saveModel(at("detector"), recipe.model(initialize(recipe.network, 0)));
    const quick = ["--cfg-scale", "1", "--steps", "2", "--count", "10", "--threads", "1"];
    const swept = await guidestar(["sweep", "--model", at("detector"), "--out", at("swept"), ...quick]);
    expect({ code: swept.code, messages: swept.messages }).toMatchObject({ code: 0 });
    const { reference } = (await readDetector(at("detector"))).record;
    const record = JSON.parse(await readFile(at("swept", "sweep.json"), "utf8"));
    expect(record).toMatchObject({ detector: expect.stringMatching(/^detector \(/), reference: reference.name });
  });

  test("colours are not looked at through a network of digits, nor other classes", async () => {
    const colour = await guidestar(["evaluate", at("images"), "--size", "28"]);
    expect(colour.code).toBe(3);
    expect(colour.messages.trimEnd().split("\n").at(-1)).toMatch(
      /colour images, but the detector digits knows grey ones; `guidestar train detector --data .*images --out DIR` makes one .* --detector DIR/,
    );
    const dataset = await openDataset(at("images"), { cache: false });
    const recipe = denoiserRecipe({ dataset, preset: "tiny" });
    await saveModel(at("bare"), recipe.model(initialize(recipe.network, 0)));
    const swept = await guidestar(["sweep", "--model", at("bare"), "--out", at("no"), "--cfg-scale", "1"]);
    expect(swept).toMatchObject({ code: 3, messages: expect.stringContaining("guidestar train detector --data DATA") });
  });
});
