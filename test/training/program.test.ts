import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { float32, int32, type NDArray, type Tree } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { flatten } from "../../src/tensor/trace.ts";
import { drawNoise, drawTimesteps, dropLabels } from "../../src/training/draws.ts";
import { compileTraining } from "../../src/training/step/program.ts";
import { updateValues } from "../../src/training/step/update.ts";
import { mapValues } from "../../src/training/step/values.ts";
import { taskGraph } from "../../src/training/task.ts";
import { denoiserTask } from "../../src/training/tasks/denoiser.ts";
import { tinyRun, tinyWeights } from "./support/tiny.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend();
});
afterAll(() => backend[Symbol.asyncDispose]());

test("micro-batches, also uneven ones, give the update of the whole batch", { timeout: 60_000 }, async () => {
  const run = tinyRun(backend, 3);
  const task = denoiserTask(run);
  const batch = await task.batchAt(1, task.memory!.initial);
  const squares = mapValues(tinyWeights, ({ shape, data }) =>
    float32(
      shape,
      data.map((value) => value ** 2),
    ),
  );
  const step = async (microBatch: number) => {
    const state = { params: tinyWeights, m: tinyWeights, v: squares, ema: tinyWeights };
    await using program = await compileTraining(
      taskGraph(task, tinyWeights, batch, { ...run, microBatch }),
      backend,
      state,
    );
    const results = await program.run({ batch, update: updateValues(1, 0.01) });
    return flatten<NDArray>(
      { results, ...(await program.readState()) } as Tree<NDArray>,
      (value): value is NDArray => "data" in value,
    );
  };
  const [whole, parts] = [await step(16), await step(5)];
  expect([...parts.keys()]).toEqual([...whole.keys()]);
  for (const [name, { data: a }] of whole as Map<string, NDArray<"float32">>) {
    const b = (parts as Map<string, NDArray<"float32">>).get(name)!.data;
    const scale = Math.max(...a.map(Math.abs));
    for (let i = 0; i < a.length; i++) expect(Math.abs(a[i]! - b[i]!), name).toBeLessThan(2e-6 * scale);
  }
});

test.each([0, -1, 1.5, Number.NaN])("micro-batches of %d are refused", async (microBatch) => {
  const task = denoiserTask(tinyRun(backend, 3));
  const batch = await task.batchAt(1, task.memory!.initial);
  expect(() => taskGraph(task, tinyWeights, batch, { microBatch })).toThrow(/microBatch must be a whole number from 1/);
});

describe("draws", () => {
  test("differ by step and by purpose, and do not depend on the batch size", () => {
    expect([...drawNoise(1, 7, [2, 3]).data]).toEqual([...drawNoise(1, 7, [4, 3]).data.slice(0, 6)]);
    expect([...drawNoise(1, 7, [2, 3]).data]).not.toEqual([...drawNoise(1, 8, [2, 3]).data]);
    expect(drawTimesteps(1, 7, 4)).not.toEqual(drawTimesteps(1, 8, 4));
  });

  test("drop labels at the rate asked for", () => {
    const labels = int32(
      [10_000],
      Int32Array.from({ length: 10_000 }, (_, i) => i % 3),
    );
    const { data } = dropLabels(1, 2, labels, 3, 0.1);
    const dropped = data.filter((label) => label === 3).length;
    expect(Math.abs(dropped - 1000)).toBeLessThan(120); // four standard deviations
    expect(data.every((label, i) => label === 3 || label === i % 3)).toBe(true);
    expect(dropLabels(1, 2, labels, 3, 0).data).toEqual(labels.data);
  });
});
