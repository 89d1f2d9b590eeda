import { writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importNetwork, withoutPrefix } from "../../src/checkpoint/import.ts";
import { saveModel } from "../../src/checkpoint/model-folder.ts";
import { ModelError } from "../../src/errors.ts";
import type { LazyTensor } from "../../src/formats/lazy-tensor.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { tinyModel } from "../support/tiny-model.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-import-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Tensors in parts of a hundred elements, which cannot be read as wholes. */
const lazy = (weights: Readonly<Record<string, NDArray<"float32">>>): Record<string, LazyTensor> =>
  Object.fromEntries(
    Object.entries(weights).map(([name, { shape, data }]) => [
      name,
      {
        shape,
        read: () => {
          throw new Error(`${name} was read whole`);
        },
        *parts() {
          for (let at = 0; at < data.length; at += 100) yield data.subarray(at, at + 100);
        },
      },
    ]),
  );

const { denoiser, classifier, ...model } = tinyModel();
const importing = (name: string, weights: typeof denoiser.weights, storage?: "float16") =>
  importNetwork(join(folder, name), {
    network: { role: "denoiser", ...denoiser.record },
    tensors: lazy(weights),
    model,
    source: "f.pt",
    ...(storage && { storage }),
  });

describe("importing reads tensors in parts", () => {
  test.each(["float32", "float16"] as const)("and writes what saving writes: %s", async (storage) => {
    const record = await importing(storage, denoiser.weights, storage === "float16" ? storage : undefined);
    const saved = await saveModel(join(folder, `${storage}-saved`), { ...model, denoiser }, { storage });
    expect(record).toEqual(saved);
    const bytes = (name: string) => readFile(join(folder, name, "denoiser.safetensors"));
    expect((await bytes(storage)).equals(await bytes(`${storage}-saved`))).toBe(true);
  });

  const changed = (at: number, value: number) => {
    const { shape, data } = denoiser.weights["out.2.weight"]!;
    return { ...denoiser.weights, "out.2.weight": float32(shape, data.with(at, value)) };
  };
  test.each([
    [
      "not a number",
      changed(120, Number.NaN),
      undefined,
      'f.pt: tensor "out.2.weight": expected finite numbers but found NaN at 120',
    ],
    [
      "beyond float16",
      changed(130, 1e6),
      "float16",
      'denoiser.safetensors: tensor "out.2.weight": 1000000 at 130 is too large for float16',
    ],
  ] as const)("%s: the place is named, and the folder stays as it was", async (_, weights, storage, message) => {
    await saveModel(join(folder, "other"), { ...model, classifier });
    const before = await readFile(join(folder, "other", "model.json"), "utf8");
    await expect(importing("other", weights, storage)).rejects.toThrow(message);
    expect(await readFile(join(folder, "other", "model.json"), "utf8")).toBe(before);
    expect((await readdir(join(folder, "other"))).sort()).toEqual(["classifier.safetensors", "model.json"]);
    await expect(importing("new", weights, storage)).rejects.toThrow(message);
    expect(await readdir(folder)).not.toContain("new");
  });

  test("and stops between two of them when the signal is raised", async () => {
    const stop = new AbortController();
    const tensors = lazy(denoiser.weights);
    const last = Object.keys(tensors).at(-1)!;
    let asked = 0;
    tensors[last] = {
      ...tensors[last]!,
      *parts() {
        asked++;
        stop.abort(new Error("enough"));
        yield denoiser.weights[last]!.data;
      },
    };
    const network = { role: "denoiser", ...denoiser.record } as const;
    const options = { network, tensors, model, source: "f.pt", signal: stop.signal };
    await expect(importNetwork(join(folder, "new"), options)).rejects.toThrow("enough");
    expect(asked).toBe(1);
    expect(await readdir(folder)).not.toContain("new");
  });
});

test("what another process wrote below the same new folder stays where an import fails", async () => {
  const tensors = lazy(denoiser.weights);
  const last = Object.keys(tensors).at(-1)!;
  function* parts() {
    writeFileSync(join(folder, "new", "other"), "results of hours");
    yield Float32Array.of(Number.NaN);
  }
  const network = { role: "denoiser", ...denoiser.record } as const;
  const options = { network, tensors: { ...tensors, [last]: { ...tensors[last]!, parts } }, model, source: "f.pt" };
  await expect(importNetwork(join(folder, "new", "mine"), options)).rejects.toThrow(ModelError);
  expect(await readdir(join(folder, "new"))).toEqual(["other"]);
});

test("prefixes of wrappers go where all names have them", () => {
  expect(withoutPrefix({ "module.a": 1, "module.b": 2 })).toEqual({ a: 1, b: 2 });
  expect(withoutPrefix({ "module._orig_mod.a": 1 })).toEqual({ a: 1 });
  expect(withoutPrefix({ "module.a": 1, b: 2 })).toEqual({ "module.a": 1, b: 2 });
  expect(withoutPrefix({})).toEqual({});
});
