import { afterAll, beforeAll, expect, test } from "vitest";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { dpm2m } from "../../src/samplers/solvers/dpm-2m.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { flowTrajectories, trajectorySource } from "../../src/sampling/trajectories.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend();
});
afterAll(() => backend[Symbol.asyncDispose]());

const model = loadedTinyModel();

test("trajectories of several scales end where sample does with each of them", async () => {
  const [seeds, labels] = [
    [5, 6, 7],
    [0, 2, 1],
  ];
  const all = [1, 1.5, 3];
  const guidanceScales = { all, chosen: [2, 0, 1] };
  const { end, x, levels, ...told } = await flowTrajectories(model, {
    seeds,
    labels,
    guidanceScales,
    steps: 4,
    backend,
  });
  expect(told.labels!.data).toEqual(Int32Array.from(labels));
  expect(Array.from(told.guidanceScales!.data)).toEqual([3, 1, 1.5]);
  expect(x).toHaveLength(levels.length);
  for (const [i, seed] of seeds.entries()) {
    const guidance = { cfgScale: all[guidanceScales.chosen[i]!]! };
    const own = await collect(
      sample(model, { seeds: [seed], labels: [labels[i]!], sampler: dpm2m({ steps: 4 }), guidance, backend }),
    );
    for (const [p, value] of own.data.entries()) expect(end.data[i * 64 + p]!).toBeCloseTo(value, 4);
  }
  // They begin as pure noise, and each image is one that the level allows.
  const top = levels[0]!;
  expect(top.sigma / top.alpha).toBeGreaterThan(levels.at(-1)!.sigma / levels.at(-1)!.alpha);
});

test("a block is a function of seed and number, of every class and scale", async () => {
  const source = trajectorySource(model, { size: 40, maxCfgScale: 3, seed: 1, steps: 2, backend });
  const [first, again, second] = [await source.block(0), await source.block(0), await source.block(1)];
  expect(again).toEqual(first);
  expect(second.end).not.toEqual(first.end);
  expect(new Set(first.labels!.data).size).toBe(3);
  const scales = Array.from(first.guidanceScales!.data);
  expect(Math.min(...scales)).toBeGreaterThanOrEqual(1);
  expect(Math.max(...scales)).toBeLessThanOrEqual(3);
  expect(new Set(scales).size).toBeGreaterThan(10);
});
