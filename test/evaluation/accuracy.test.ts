import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model } from "../../src/checkpoint/model.ts";
import {
  accuracyByTimestep,
  accuracyCsv,
  accuracyTable,
  type TimestepAccuracy,
} from "../../src/evaluation/accuracy.ts";
import { classAccuracy } from "../../src/evaluation/metrics/class-scores.ts";
import { encoderUnet } from "../../src/models/adm/classifier.ts";
import { float32, int32, type NDArray, sizeOf } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { readRight } from "../../src/tensor/read-right.ts";
import { f32, i32, trace } from "../../src/tensor/trace.ts";
import { tinyModel } from "../support/tiny-model.ts";

const { denoiser: _, classifier, ...about } = tinyModel();
const model = {
  format: "guidestar-model-2",
  source: "tiny",
  ...about,
  classifier: { ...classifier.record, file: "", sha256: "", parameters: 0 },
  weights: { classifier: classifier.weights },
} as Model;
const count = 7;
const x0 = normals(5, 0, count * 64).map((value) => Math.tanh(value));
const labels = [0, 1, 2, 0, 1, 2, 0];
const images = {
  count,
  take: (positions: readonly number[]) => ({
    x: float32(
      [positions.length, 1, 8, 8],
      positions.flatMap((n) => [...x0.subarray(64 * n, 64 * n + 64)]),
    ),
    y: int32(
      [positions.length],
      positions.map((n) => labels[n]!),
    ),
  }),
};

/** alpha bar of the cosine schedule, Eq. 17 of Nichol & Dhariwal 2021, with its limit of 0.999 on beta. */
function alphaBar(t: number, steps: number): number {
  const f = (u: number): number => Math.cos((((u + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  let product = 1;
  for (let i = 0; i <= t; i++) product *= 1 - Math.min(0.999, 1 - f((i + 1) / steps) / f(i / steps));
  return product;
}

test("the largest logit is read, infinite ones too; equal ones and what is not a number read nothing", async () => {
  await using backend = await openBackend({ threads: 1 });
  const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
  const rows: [logits: number[], label: number, right: 0 | 1][] = [
    [[1, 2, 3], 2, 1],
    [[1, 2, 3], 1, 0],
    [[5, -inf, -inf], 0, 1],
    [[5, -inf, -inf], 1, 0],
    [[-inf, -inf, -inf], 0, 0],
    [[inf, 1, -inf], 0, 1],
    [[inf, 1, inf], 0, 0],
    [[3, 3, 1], 0, 0],
    [[1, nan, 3], 2, 0],
    [[nan, 1, 3], 2, 0],
    [[nan, 1, -inf], 0, 0],
  ];
  const graph = trace({ logits: f32(rows.length, 3), labels: i32(rows.length) }, ({ logits, labels }) => ({
    right: readRight(logits, labels),
  }));
  await using program = await compile(graph, backend);
  const { right } = await program.run({
    logits: float32(
      [rows.length, 3],
      rows.flatMap(([logits]) => logits),
    ),
    labels: int32(
      [rows.length],
      rows.map(([, label]) => label),
    ),
  });
  expect(Array.from(right.data)).toEqual(rows.map(([, , expected]) => expected));
});

describe("accuracyByTimestep", () => {
  let backend: Backend;
  const measured = async (batchSize: number, timesteps = 3, of = model): Promise<TimestepAccuracy[]> => {
    const rows: TimestepAccuracy[] = [];
    for await (const row of accuracyByTimestep(of, images, { backend, batchSize, timesteps, seed: 3 })) rows.push(row);
    return rows;
  };
  beforeAll(async () => {
    backend = await openBackend({ threads: 1 });
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  test("a classifier that finds all classes alike, or gives no numbers, reads nothing", async () => {
    for (const bias of [0, Number.NaN]) {
      const weights = Object.entries(classifier.weights).map(([key, { shape }]) => {
        const values = new Float32Array(sizeOf(shape)).fill(key === "out.2.c_proj.bias" ? bias : 0);
        return [key, float32(shape, values)] as const;
      });
      const same = { ...model, weights: { classifier: Object.fromEntries(weights) } };
      expect((await measured(7, 2, same)).map(({ accuracy }) => accuracy)).toEqual([0, 0]);
    }
    const alike = { rows: 1, columns: 2, data: Float64Array.of(0.5, 0.5) };
    expect(classAccuracy(alike, [1]).value).toBe(0);
  });

  test("counts what the network reads in images noised by the schedule's formula", async () => {
    const rows = await measured(3);
    expect(rows.map(({ timestep }) => timestep)).toEqual([0, 10, 19]);
    const network = encoderUnet(classifier.record.config);
    const shapes = Object.entries(classifier.weights).map(([key, { shape }]) => [key, f32(...shape)] as const);
    await using program = await compile(
      trace({ weights: Object.fromEntries(shapes), x: f32(count, 1, 8, 8), t: f32(count) }, ({ weights, x, t }) => ({
        logits: network(weights, x, t),
      })),
      backend,
      { bind: { weights: classifier.weights } },
    );
    for (const { timestep, ...row } of rows) {
      const bar = alphaBar(timestep, 20);
      const x = Float32Array.from(x0, (value, i) => {
        const [n, pixel] = [Math.floor(i / 64), i % 64];
        return Math.sqrt(bar) * value + Math.sqrt(1 - bar) * normals(3, n * 20 + timestep, 64)[pixel]!;
      });
      const t = float32([count], new Array<number>(count).fill(timestep));
      const { logits }: { logits: NDArray } = await program.run({ x: float32([count, 1, 8, 8], x), t });
      let [right, crossEntropy] = [0, 0];
      for (const [n, label] of labels.entries()) {
        const own = Array.from(logits.data.subarray(3 * n, 3 * n + 3), Number);
        if (own[label] === Math.max(...own)) right++;
        crossEntropy += Math.log(own.reduce((sum, value) => sum + Math.exp(value), 0)) - own[label]!;
      }
      expect(row.accuracy).toBeCloseTo(right / count, 6);
      expect(row.crossEntropy).toBeCloseTo(crossEntropy / count, 4);
      expect(row.standardError).toBeCloseTo(Math.sqrt(((right / count) * (1 - right / count)) / count), 6);
    }
  });

  test("does not depend on the batch; takes every timestep of a short chain", async () => {
    const [whole, parts] = [await measured(7, 100), await measured(2, 100)];
    expect(whole.map(({ timestep }) => timestep)).toEqual(Array.from({ length: 20 }, (_, t) => t));
    for (const [i, row] of whole.entries()) {
      expect(parts[i]!.accuracy).toBe(row.accuracy);
      expect(parts[i]!.crossEntropy).toBeCloseTo(row.crossEntropy, 4);
    }
  });

  test("refuses labels that the classifier lacks, and models without one", async () => {
    const wrong = { count: 1, take: () => ({ x: float32([1, 1, 8, 8]), y: int32([1], [3]) }) };
    await expect(accuracyByTimestep(model, wrong, { backend }).next()).rejects.toThrow(/from 0 to 2.* one is 3/);
    const { classifier: _, ...without } = model;
    await expect(accuracyByTimestep(without, images, { backend }).next()).rejects.toThrow(/no classifier/);
  });
});

test("accuracies as a table", () => {
  const row = { timestep: 500, images: 200, accuracy: 0.5, standardError: 0.0354, crossEntropy: 1.5 };
  expect(accuracyCsv([row]).split("\n")[1]).toBe("500,200,0.5,0.0354,1.5");
  expect(accuracyTable([row], 10)).toContain(`     500     50.0%  ${"█".repeat(15)}\n`);
});
