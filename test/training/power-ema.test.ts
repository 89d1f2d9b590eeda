import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { averageOfLength } from "../../src/checkpoint/average-folder.ts";
import { checkpointFolder, latestCheckpoint } from "../../src/checkpoint/run-folder.ts";
import { ModelError, UsageError } from "../../src/errors.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { emaWeight, powerEmaWeight, powerExponent, reconstruct } from "../../src/training/averages.ts";
import type { Weights } from "../../src/training/events.ts";
import { trainDenoiser } from "../../src/training/train.ts";
import { tinyRun } from "./support/tiny.ts";

/** The average of a length over values of steps 1, 2, ..., update by update. */
const tracked = (values: ArrayLike<number>, length: number): number[] => {
  let average = 0;
  return Array.from(values, (value, i) => {
    average += powerEmaWeight(i + 1, length) * (value - average);
    return average;
  });
};

describe("power-function averages", () => {
  test("have the exponents of the paper", () => {
    expect(powerExponent(0.05)).toBeCloseTo(16.97, 2);
    expect(powerExponent(0.1)).toBeCloseTo(6.94, 2);
    expect(() => powerExponent(0.3)).toThrow(UsageError);
    expect(() => powerExponent(0)).toThrow(/from 0.001 to 0.289, as a share of the run, but is 0/);
  });

  test("of length 0.09 is the one that is kept anyway, where runs are shorter than its rate can reach", () => {
    const steps = 2000;
    let weights = new Float64Array(steps);
    for (let s = 0; s < steps; s++) {
      const share = emaWeight(s + 1);
      weights = weights.map((weight) => (1 - share) * weight);
      weights[s]! += share;
    }
    const moment = (power: number): number =>
      weights.reduce((sum, weight, s) => sum + weight * ((s + 0.5) / steps) ** power, 0);
    expect(Math.sqrt(moment(2) - moment(1) ** 2)).toBeCloseTo(0.09, 2.5);
    expect(powerExponent(0.0905)).toBeCloseTo(8, 1);
    expect(1 - emaWeight(89_000)).toBeLessThan(0.9999);
    expect(1 - emaWeight(91_000)).toBe(0.9999);
  });

  test.each([0.03, 0.1, 0.25])("of length %d weigh steps with that deviation, as a share of the run", (length) => {
    // The weight of each step in the last average: that of an impulse.
    const steps = 400;
    const weights = Array.from({ length: steps }, (_, s) => {
      const impulse = new Float64Array(steps);
      impulse[s] = 1;
      return tracked(impulse, length).at(-1)!;
    });
    const moment = (power: number): number =>
      weights.reduce((sum, weight, s) => sum + weight * ((s + 0.5) / steps) ** power, 0);
    expect(moment(0)).toBeCloseTo(1, 12);
    expect(Math.sqrt(moment(2) - moment(1) ** 2)).toBeCloseTo(length, 3);
  });
});

describe("an average put together from snapshots of two others", () => {
  const steps = 2000;
  const walk = (() => {
    let at = 3;
    return Array.from(normals(1, 0, steps), (z) => {
      at += 0.05 * z;
      return at;
    });
  })();
  const [short, long] = [tracked(walk, 0.05), tracked(walk, 0.1)];
  const snapshotsOf = (count: number) =>
    Array.from({ length: count }, (_, i) => ((i + 1) * steps) / count).flatMap((step) => [
      { step, length: 0.05, value: short[step - 1]! },
      { step, length: 0.1, value: long[step - 1]! },
    ]);

  test.each([
    [0.03, 40, 0.01],
    [0.07, 40, 0.001],
    [0.15, 40, 0.002],
    [0.2, 40, 0.005],
    [0.15, 10, 0.03],
  ])("of length %d from %d snapshots is the tracked one, within the error that is told", (length, count, most) => {
    const snapshots = snapshotsOf(count);
    const { factors, error } = reconstruct(snapshots, { step: steps, length });
    expect(error).toBeLessThan(most);
    const sum = snapshots.reduce((total, { value }, i) => total + factors[i]! * value, 0);
    const gamma = powerExponent(length);
    const profileNorm = (gamma + 1) / Math.sqrt((2 * gamma + 1) * steps);
    const bound = error * profileNorm * Math.hypot(...walk);
    expect(Math.abs(sum - tracked(walk, length).at(-1)!)).toBeLessThan(bound + 1e-9);
    // It is no other average: that of another length is farther away.
    expect(Math.abs(sum - tracked(walk, 0.1).at(-1)!)).toBeGreaterThan(bound);
  });

  test("one of those that were kept is itself, also where a snapshot is there twice", () => {
    const snapshots = snapshotsOf(5);
    const { factors, error } = reconstruct([...snapshots, snapshots.at(-1)!], { step: steps, length: 0.1 });
    const values = [...snapshots, snapshots.at(-1)!].map(({ value }) => value);
    expect(values.reduce((sum, value, i) => sum + factors[i]! * value, 0)).toBeCloseTo(long.at(-1)!, 9);
    expect(error).toBeLessThan(1e-6);
    expect(() => reconstruct([], { step: 1, length: 0.1 })).toThrow(/no snapshots/);
  });
});

describe("training with powerEma", () => {
  let backend: Backend;
  let root: string;
  beforeAll(async () => {
    backend = await openBackend({ threads: 1 });
    root = await mkdtemp(join(tmpdir(), "guidestar-averages-"));
  });
  afterAll(async () => {
    await backend[Symbol.asyncDispose]();
    await rm(root, { recursive: true });
  });
  const run = (folder: string, signal?: AbortSignal, params?: Weights[]) => {
    const store = checkpointFolder(folder, { keep: 1 });
    return trainDenoiser({
      ...tinyRun(backend, 24),
      powerEma: true,
      snapshotEvery: 3,
      checkpointEvery: 1,
      store: {
        ...store,
        save(checkpoint) {
          params?.push(checkpoint.params);
          return store.save(checkpoint);
        },
      },
      ...(signal && { signal }),
    });
  };

  test("an average of any length is that of the weights of all steps; resuming changes no byte", async () => {
    const [whole, stopped] = [join(root, "whole"), join(root, "stopped")];
    const params: Weights[] = [];
    for await (const _ of run(whole, undefined, params));
    expect(params).toHaveLength(24);
    const { weights, error, snapshots, step } = await averageOfLength(whole, 0.15);
    expect([snapshots, step]).toEqual([8, 24]);
    expect(error).toBeLessThan(0.05);
    const gamma = powerExponent(0.15);
    const profileNorm = (gamma + 1) / Math.sqrt((2 * gamma + 1) * 24);
    for (const [key, { data }] of Object.entries(weights))
      for (let i = 0; i < data.length; i++) {
        const values = params.map((weights) => weights[key]!.data[i]!);
        const bound = error * profileNorm * Math.hypot(...values) + 1e-6;
        expect(Math.abs(data[i]! - tracked(values, 0.15).at(-1)!), key).toBeLessThan(bound);
      }

    const controller = new AbortController();
    for await (const event of run(stopped, controller.signal)) if (event.step === 10) controller.abort();
    for await (const _ of run(stopped));
    const bytesOf = async (folder: string) => [
      await readFile((await latestCheckpoint(folder))!),
      ...(await Promise.all(
        (await readdir(join(folder, "averages"))).sort().map((name) => readFile(join(folder, "averages", name))),
      )),
    ];
    expect(await bytesOf(stopped)).toEqual(await bytesOf(whole));
  });

  test("what is not there, or damaged, is said", async () => {
    const whole = join(root, "whole");
    await expect(averageOfLength(join(root, "none"), 0.1)).rejects.toThrow(ModelError);
    await expect(averageOfLength(join(root, "none"), 0.1)).rejects.toThrow(/no snapshots of averages; .* --power-ema/);
    await expect(averageOfLength(whole, 0.1, { step: 5 })).rejects.toThrow(
      /no snapshot of step 5; there are those of 3, 6, 9/,
    );
    await expect(averageOfLength(whole, 0.5)).rejects.toThrow(UsageError);
    const stop = new AbortController();
    const stopped = averageOfLength(whole, 0.1, { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(stopped).rejects.toThrow("enough");
    const without = trainDenoiser({ ...tinyRun(backend, 24), store: checkpointFolder(whole) });
    await expect(without.next()).rejects.toThrow(/started with powerEma; resume in the same way/);
    await writeFile(join(whole, "averages", "step-00000003.safetensors"), "cut short");
    await expect(averageOfLength(whole, 0.1)).rejects.toThrow(/step-00000003.safetensors/);
  });
});
