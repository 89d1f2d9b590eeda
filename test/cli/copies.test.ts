// Copies of training images: what a training says of them and where it stops, and `evaluate --training`.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { follow, type Outputs } from "../../src/cli/train/outputs.ts";
import { writeSheet } from "../../src/cli/train/sheet.ts";
import type { Split } from "../../src/data/content.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { planesOf, toUint8 } from "../../src/images/planes.ts";
import { encodePng } from "../../src/images/png.ts";
import type { NDArray } from "../../src/ndarray.ts";
import { normals, uniforms } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { TrainingEvent } from "../../src/training/events.ts";
import { loadedTinyModel, tinyModel } from "../support/tiny-model.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
let backend: Backend;
let drawn: NDArray<"float32">;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
  // What the sheet of this model shows, always from the same seeds.
  drawn = await writeSheet(at("sheet.png"), loadedTinyModel(), backend, new AbortController().signal);
});
afterAll(() => backend[Symbol.asyncDispose]());

const { denoiser, classifier: _, ...facts } = tinyModel();
const splitOf = (images: Uint8Array): Split => {
  const count = images.length / 64;
  return { count, shape: [1, 8, 8], images, labels: Int32Array.from({ length: count }, (_, i) => i % 3) };
};
/** The images that the model draws: it could not copy them better. */
const copied = (): Split => {
  const pictures = toUint8(drawn);
  const images = new Uint8Array(64 * pictures.length);
  for (const [i, picture] of pictures.entries()) planesOf(picture, 1, images, 64 * i);
  return splitOf(images);
};
/** Smooth images, each of its own. */
const others = (count: number): Split =>
  splitOf(
    Uint8Array.from({ length: 64 * count }, (_, i) => {
      const [a, b] = uniforms(5, Math.floor(i / 64), 2) as unknown as [number, number];
      return 128 + 127 * Math.sin(6 * a + b * (i % 64));
    }),
  );

/** Follows a run of three steps with a sheet at each, which ends when the signal or `stop` is raised. */
async function followed(train: Split, out: string, stopWhenCopying: boolean) {
  const stop = new AbortController();
  const said: string[] = [];
  const printed: string[] = [];
  async function* events(): AsyncGenerator<TrainingEvent> {
    yield { kind: "start", step: 0, steps: 3, config: {} };
    for (let step = 1; step <= 3; step++) {
      const rates = { gradientNorm: 1, learningRate: 1e-3, imagesPerSecond: 1, secondsLeft: 1 };
      yield { kind: "step", step, steps: 3, progress: step / 3, loss: 1, metrics: {}, ...rates } as TrainingEvent;
      yield { kind: "samples", step, averaged: denoiser.weights };
      if (stop.signal.aborted) {
        yield { kind: "interrupted", step, averaged: denoiser.weights };
        return;
      }
    }
    yield { kind: "done", step: 3, averaged: denoiser.weights };
  }
  const outputs: Outputs = {
    network: "denoiser",
    out,
    storage: "float32",
    dataset: { path: "own", train, test: undefined } as Dataset,
    job: { model: () => ({ ...facts, denoiser }) },
    backend,
    terminal: { out: (text) => printed.push(text), message: () => {}, columns: undefined, color: false },
    shown: { say: (text) => said.push(text), update: () => {}, end: () => {} } as Outputs["shown"],
    signal: new AbortController().signal,
    ...(stopWhenCopying && { stopCopying: stop }),
  };
  await follow(events(), outputs);
  return { said, printed };
}

describe("a training whose samples are its training images", () => {
  test("says so, warns once and shows the pairs", async () => {
    const { said, printed } = await followed(copied(), at("warned"), false);
    const counts = said.filter((line) => line.startsWith("copies of training images: "));
    expect(counts).toHaveLength(3);
    for (const line of counts) expect(line).toMatch(/: 18 of 18 samples by pixels \(.*pairs.png\)$/);
    expect(said.filter((line) => line.startsWith("warning: the network copies"))).toHaveLength(1);
    expect(printed).toEqual([`${at("warned")}\n`]);
    expect((await readFile(at("warned", "pairs.png"))).subarray(1, 4).toString()).toBe("PNG");
  });

  test("stops there where that is asked for, and leaves a model", async () => {
    const { said, printed } = await followed(copied(), at("stopped"), true);
    expect(said.at(-1)).toMatch(
      /stopped after step 1, for the samples copy training images; the model of this step is in .*stopped. To go on all the same: guidestar train denoiser --out .*stopped --resume --no-stop-when-copying/,
    );
    expect(printed).toEqual([`${at("stopped")}\n`]);
    expect(await readdir(at("stopped"))).toEqual(expect.arrayContaining(["model.json", "denoiser.safetensors"]));
  });

  test("goes on where they are others", async () => {
    const { said } = await followed(others(60), at("free"), true);
    expect(said.join("\n")).not.toMatch(/warning|stopped/);
    expect(said.filter((line) => line.startsWith("samples: "))).toHaveLength(3);
  });
});

describe("evaluate --training", () => {
  beforeAll(async () => {
    const all = others(80);
    const write = async (name: string, numbers: readonly number[], noise: number) => {
      await mkdir(at(name), { recursive: true });
      for (const i of numbers) {
        const noises = normals(8, i, 64);
        const data = all.images
          .slice(64 * i, 64 * i + 64)
          .map((value, p) => Math.max(0, Math.min(255, value + noise * noises[p]!)));
        await writeFile(at(name, `${i}.png`), encodePng({ width: 8, height: 8, channels: 1, data }));
      }
    };
    const numbers = Array.from({ length: 80 }, (_, i) => i);
    await write("trained", numbers.slice(0, 60), 0);
    await write("copies", numbers.slice(0, 20), 6);
    await write("new", numbers.slice(60), 0);
  });

  test("tells copies from new images, and shows pairs", async () => {
    const line = (samples: string, ...more: string[]) => [
      "evaluate",
      at(samples),
      "--training",
      at("trained"),
      "--threads",
      "1",
      ...more,
    ];
    const copies = await guidestar(line("copies", "--pairs", at("pairs.png")));
    expect(copies).toMatchObject({ code: 0 });
    expect(copies.out).toMatch(/^20 of 20 samples by pixels are nearer to a training image than real images are/);
    expect(copies.out).toMatch(/copies by pixels +100% +copying/);
    expect((await readFile(at("pairs.png"))).subarray(1, 4).toString()).toBe("PNG");
    const fresh = await guidestar(line("new", "--json"));
    const [report] = JSON.parse(fresh.out).copies;
    expect(report).toMatchObject({ by: "pixels", copying: false, heldOut: false, training: 60 });
    expect(report.pairs).toHaveLength(20);
  });

  test("compares by what a detector sees, too; training refuses one of other images before it begins", async () => {
    await mkdir(at("digits"), { recursive: true });
    for (let i = 0; i < 12; i++) {
      const data = Uint8Array.from(normals(3, i, 784), (z) => Math.max(0, Math.min(255, 128 + 60 * z)));
      await writeFile(at("digits", `${i}.png`), encodePng({ width: 28, height: 28, channels: 1, data }));
    }
    const same = ["evaluate", at("digits"), "--training", at("digits"), "--json", "--threads", "1"];
    const seen = await guidestar([...same, "--detector", "digits"]);
    expect(seen.code, seen.messages).toBe(0);
    const reports: { by: string; share: number; pairs: { training: number }[] }[] = JSON.parse(seen.out).copies;
    expect(reports.map(({ by, share }) => [by, share])).toEqual([
      ["digits", 1],
      ["pixels", 1],
    ]);
    for (const { pairs } of reports) expect(pairs.map(({ training }) => training)).toEqual([...pairs.keys()]);

    const train = [
      "train",
      "denoiser",
      "--data",
      at("trained"),
      "--labels",
      "none",
      "--out",
      at("never"),
      "--preset",
      "tiny",
    ];
    const refused = await guidestar([...train, "--detector", "digits", "--threads", "1"]);
    expect(refused).toMatchObject({ code: 3, out: "" });
    expect(refused.messages).toMatch(/images of 8x8, but the detector .*digits.* sees 28x28/);
    await expect(readdir(at("never"))).rejects.toThrow(/ENOENT/);
  });

  test("needs images, and at least three to compare with", async () => {
    const none = await guidestar(["evaluate", "--sample-features", at("x.npz"), "--training", at("trained")]);
    expect(none).toMatchObject({ code: 2 });
    await mkdir(at("two"), { recursive: true });
    for (const name of ["a.png", "b.png"]) await writeFile(at("two", name), await readFile(at("new", "60.png")));
    const few = await guidestar(["evaluate", at("new"), "--training", at("two")]);
    expect(few).toMatchObject({ code: 3 });
    expect(few.messages).toMatch(/of 2 training images nothing can be told; at least 3 are needed/);
  });
});
