import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import type { SweepValues } from "../../src/cli/sweep/command.ts";
import { gridOf, kindOf } from "../../src/cli/sweep/grid.ts";
import { writeNpz } from "../../src/formats/npz.ts";
import { emit } from "../../src/onnx/emit.ts";
import { lower } from "../../src/onnx/lower.ts";
import { f32, trace } from "../../src/tensor/trace.ts";
import { guidestar, temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
const quick = ["--sampler", "dpm++2m", "--steps", "2", "--count", "10", "--threads", "1"];
const sweep = (out: string, ...more: string[]) => guidestar(["sweep", "--out", at(out), ...quick, ...more]);
const lines = async (out: string): Promise<Record<string, unknown>[]> =>
  (await readFile(at(out, "cells.jsonl"), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("the grid", () => {
  const list = async (...argv: string[]) => {
    const { code, out, messages } = await guidestar(["sweep", "--dry-run", "--out", at("none"), ...quick, ...argv]);
    expect({ code, messages }).toMatchObject({ code: 0 });
    return { cells: out.trimEnd().split("\n").slice(0, -1), last: out.trimEnd().split("\n").at(-1), messages };
  };

  test("is every combination; ranges, lists and what excludes each other", async () => {
    const { cells, last, messages } = await list(
      "--classifier-scale",
      "0:3:1.5",
      "--cfg-scale",
      "1,2",
      "--unconditional",
      "no,yes",
    );
    expect(cells.map((cell) => cell.trim())).toContain(
      "cfgScale 2, classifierScale 1.5, dpm++2m, steps 2, levels karras",
    );
    // 3 x 2 told the class; of the 6 that are not, those with --cfg-scale 2 have no meaning.
    expect(cells).toHaveLength(9);
    expect(messages).toMatch(/^3 combinations left out: cfgScale 2 mixes in/);
    expect(last).toMatch(/^9 cells of 10 pictures, 0 done; about \d+ s for the others$/);
    expect(existsSync(at("none"))).toBe(false);
  });

  test("takes every setting of sample, and values that hold commas", async () => {
    const { cells } = await list("--guidance-interval", "0.1:2,0.5:5", "--unconditional", "--classifier-scale", "1");
    expect(cells.map((cell) => cell.trim())).toEqual([
      "unconditional, cfgScale 1, classifierScale 1, guidanceInterval [0.1,2], dpm++2m, steps 2, levels karras",
      "unconditional, cfgScale 1, classifierScale 1, guidanceInterval [0.5,5], dpm++2m, steps 2, levels karras",
    ]);
    expect((await list("--guidance-schedule", "0,1;1,0", "--cfg-scale", "3")).cells).toHaveLength(2);
  });

  test("cells of a kind take equally long: what is computed at a step, and how often, is the same", async () => {
    const model = await loadModel("digits");
    const values = { model: "digits", class: "all", count: 1, seed: 0, batchSize: 1, sampler: ["pc"] };
    const kinds = (settings: Partial<SweepValues>) => {
      const weak = new Map([["other", model]]);
      const { cells } = gridOf({ ...values, ...settings } as SweepValues, model, weak);
      return [cells.length, new Set(cells.map(kindOf)).size];
    };
    expect(kinds({ cfgScale: [2, 3], snr: [0.1, 0.2] })).toEqual([4, 1]);
    expect(kinds({ cfgScale: [1, 2], classifierScale: [0, 1] })).toEqual([4, 4]);
    expect(kinds({ corrections: [1, 5] })).toEqual([2, 2]);
    expect(kinds({ weakModel: ["", "other"] })).toEqual([2, 2]);
  });

  test.each([
    [["--classifier-scale", "3:1"], /"3:1" should rise/],
    [["--unconditional", "maybe"], /yes, no or yes,no but got "maybe"/],
    [["--cfg-scale", "1,two"], /--cfg-scale must be a finite number but is "two"/],
    [["--reference-count", "10"], /give that too/],
  ])("refuses %j", async (argv, message) => {
    const { code, messages } = await sweep("refused", ...argv);
    expect(code).toBe(2);
    expect(messages).toMatch(message);
  });
});

describe("sweep", () => {
  test("killed in the middle, goes on without a lost or a repeated cell, to the numbers of an undisturbed one", async () => {
    const argv = ["--classifier-scale", "0:3:1", "--cfg-scale", "1"];
    const command = ["--import", "tsx", "src/cli/main.ts", "sweep", "--out", at("killed"), ...quick, ...argv];
    const child = spawn(process.execPath, command, { stdio: ["ignore", "ignore", "pipe"] });
    let messages = "";
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on("exit", (_, signal) => resolve(signal)));
    child.stderr.on("data", (text: Buffer) => {
      messages += text;
      if (messages.includes("cfgScale 1, classifierScale 1, dpm++2m, steps 2, levels karras: fid"))
        child.kill("SIGKILL");
    });
    expect(await ended).toBe("SIGKILL");
    const before = await readFile(at("killed", "cells.jsonl"), "utf8");
    const finished = before.trimEnd().split("\n").length;
    expect(finished).toBeGreaterThanOrEqual(2);
    expect(finished).toBeLessThan(4);

    const again = await sweep("killed", ...argv);
    expect(again.code).toBe(0);
    expect((await readFile(at("killed", "cells.jsonl"), "utf8")).startsWith(before)).toBe(true);
    expect((await sweep("whole", ...argv)).code).toBe(0);
    const timeless = async (out: string) => (await lines(out)).map(({ seconds: _, ...cell }) => cell);
    expect(await timeless("killed")).toEqual(await timeless("whole"));
    expect((await lines("killed")).map(({ classifierScale }) => classifierScale)).toEqual([0, 1, 2, 3]);
    expect((await lines("killed"))[1]).toMatchObject({ cfgScale: 1, sampler: "dpm++2m", steps: 2, count: 10 });
    expect(JSON.parse(await readFile(at("killed", "sweep.json"), "utf8"))).toMatchObject({ detector: "digits" });
    for (const name of ["fid", "sfid", "precision", "recall", "kid", "inceptionScore", "accuracy"])
      expect((await lines("killed"))[1]).toMatchObject({
        [name]: expect.any(Number),
        [`${name}Error`]: expect.any(Number),
      });
  }, 300_000);

  test("writes a report; other values add cells to it, finished ones are not measured again", async () => {
    const [head, ...rows] = (await readFile(at("killed", "report.csv"), "utf8")).trimEnd().split("\n");
    expect(head).toMatch(
      /^classifierScale,cfgScale,unconditional,sampler,.*,fid,fidError,.*,accuracy,accuracyError,count,/,
    );
    expect(rows).toHaveLength(4);
    expect((await sharp(at("killed", "report.png")).metadata()).format).toBe("png");
    const before = await readFile(at("killed", "cells.jsonl"), "utf8");
    const more = await sweep("killed", "--cfg-scale", "1,2", "--classifier-scale", "0");
    expect(more.code).toBe(0);
    expect((await readFile(at("killed", "cells.jsonl"), "utf8")).startsWith(before)).toBe(true);
    expect(await lines("killed")).toHaveLength(5);
    expect(await readFile(at("killed", "report.svg"), "utf8")).toContain("classifier-free");
  });

  test("refuses the folder of another model, or of other pictures; the cells stay", async () => {
    const before = await readFile(at("killed", "cells.jsonl"), "utf8");
    const { denoiser, classifier, weights, ...model } = await loadModel("digits");
    const other = {
      ...weights.denoiser!,
      "out.2.bias": { ...weights.denoiser!["out.2.bias"]!, data: new Float32Array(2).fill(0.5) },
    };
    await saveModel(at("other"), {
      classes: model.classes,
      imageShape: model.imageShape,
      preprocessing: model.preprocessing,
      denoiser: { record: denoiser!, weights: other },
    });
    const refused = await sweep("killed", "--model", at("other"), "--cfg-scale", "1");
    expect(refused.code).toBe(3);
    expect(refused.messages).toMatch(/another model.*denoiser was/s);
    const fewer = await sweep("killed", "--cfg-scale", "1", "--count", "12");
    expect(fewer.code).toBe(3);
    expect(fewer.messages).toContain("count was 10, now 12");
    expect(await readFile(at("killed", "cells.jsonl"), "utf8")).toBe(before);

    await writeFile(at("killed", "cells.jsonl"), before.slice(0, before.length - 20));
    const damaged = await sweep("killed", "--cfg-scale", "1", "--classifier-scale", "0");
    expect(damaged.code).toBe(3);
    expect(damaged.messages).toMatch(/cells\.jsonl, line 5: not JSON; delete the line/);
  });

  test("compares with images that are given; too few of them are refused", async () => {
    const images = (count: number) =>
      writeNpz({
        arr_0: {
          dtype: "uint8",
          shape: [count, 28, 28, 1],
          data: Uint8Array.from({ length: count * 784 }, (_, i) => (i * i) % 251),
        },
        arr_1: { dtype: "int64", shape: [count], data: new BigInt64Array(count) },
      });
    await writeFile(at("real.npz"), images(12));
    await writeFile(at("few.npz"), images(3));
    const given = await sweep("given", "--cfg-scale", "1", "--reference", at("real.npz"), "--reference-count", "8");
    expect(given).toMatchObject({ code: 0 });
    expect((await lines("given"))[0]).toMatchObject({ referenceCount: 8, fid: expect.any(Number) });
    expect(JSON.parse(await readFile(at("given", "sweep.json"), "utf8")).reference).toMatch(
      /^12 images of real\.npz \([0-9a-f]{12}\)$/,
    );
    const few = await sweep("few", "--cfg-scale", "1", "--reference", at("few.npz"));
    expect(few.code).toBe(3);
    expect(few.messages).toMatch(/take at least 4/);

    // Detectors of one name, the second with another network: it sees twice as much.
    const real = ["--cfg-scale", "1", "--reference", at("real.npz"), "--reference-count", "8"];
    const seenBy = async (folder: string, scale: number) => {
      await mkdir(at(folder), { recursive: true });
      const graph = trace({ x: f32(32, 1, 28, 28) }, ({ x }) => ({ y: x.reshape(32, 4, 196).mean([2]).mul(scale) }));
      await writeFile(
        at(folder, "net.onnx"),
        emit(lower(graph), { weights: "inside", nameOutput: (name) => name }).bytes,
      );
      const declaration = { input: "x", channels: 1, features: "y", range: [-1, 1] };
      await writeFile(at(folder, "net.json"), JSON.stringify(declaration));
      return sweep("seen", ...real, "--detector", at(folder, "net.onnx"));
    };
    expect(await seenBy("d1", 1)).toMatchObject({ code: 0 });
    expect(await seenBy("moved", 1)).toMatchObject({ code: 0 });
    const other = await seenBy("d2", 2);
    expect(other.code).toBe(3);
    expect(other.messages).toMatch(/detector was "net\.onnx \([0-9a-f]{12}\)", now "net\.onnx \(/);

    const bundled = await sweep("given", "--cfg-scale", "1");
    expect(bundled.code).toBe(3);
    expect(bundled.messages).toMatch(/reference was "12 images/);
  });
});
