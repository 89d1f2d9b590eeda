import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { checkpointFolder } from "../../src/checkpoint/run-folder.ts";
import { decodeCheckpoint, stepsToKeep } from "../../src/checkpoint/training-file.ts";
import { ModelError, UsageError } from "../../src/errors.ts";
import { bytesOf } from "../../src/formats/bytes.ts";
import { readSafetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { TrainingEvent } from "../../src/training/events.ts";
import { TrainingStopped } from "../../src/training/go-back.ts";
import { type TrainOptions, trainDenoiser } from "../../src/training/train.ts";
import { isSane } from "../../src/training/watch.ts";
import { tinyRun } from "./support/tiny.ts";

let backend: Backend;
let root: string;
let count = 0;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
  root = await mkdtemp(join(tmpdir(), "guidestar-back-"));
});
afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});
const freshFolder = (): string => join(root, `${count++}`);
const config = { learningRate: 0.01, labelDropout: 0.2, preset: "tiny" };

async function run(folder: string, steps: number, options: Partial<TrainOptions> = {}): Promise<TrainingEvent[]> {
  const events: TrainingEvent[] = [];
  const usual = { ...tinyRun(backend, steps), decay: "none", config, checkpointEvery: 2 } as const;
  for await (const event of trainDenoiser({ ...usual, store: checkpointFolder(folder), ...options }))
    events.push(event);
  return events;
}
const fileOf = (folder: string, step: number): string =>
  join(folder, `step-${String(step).padStart(8, "0")}.safetensors`);
const stepsIn = async (folder: string): Promise<number[]> =>
  (await readdir(folder)).map((name) => Number(/\d+/.exec(basename(name))![0])).sort((a, b) => a - b);
const configOf = async (path: string) => decodeCheckpoint(bytesOf(await readFile(path)), path).config;

describe("how a run learns may change when it goes on", () => {
  test("which is recorded with its step; with the same options nothing is", async () => {
    const folder = freshFolder();
    await run(folder, 4);
    await run(folder, 6);
    expect(await configOf(fileOf(folder, 6))).toEqual(config);
    const [start] = await run(folder, 8, { learningRate: 0.001, config: { ...config, learningRate: 0.001 } });
    const changed = {
      ...config,
      learningRate: 0.001,
      changes: [{ step: 6, learningRate: { before: 0.01, now: 0.001 } }],
    };
    expect(start).toMatchObject({ kind: "start", step: 6, config: changed });
    await run(folder, 10, { learningRate: 0.001, config: { ...config, learningRate: 0.001 } });
    expect(await configOf(fileOf(folder, 10))).toEqual(changed);
  });

  test.each([
    ["preset", { preset: "base" }],
    ["labelDropout", { labelDropout: 0 }],
  ])("but not what its network is: %s", async (name, now) => {
    const folder = freshFolder();
    await run(folder, 2);
    await expect(run(folder, 4, { config: { ...config, ...now } })).rejects.toThrow(new RegExp(`${name} was`));
    await run(folder, 4, { config: { ...config, labelDropout: 0.3 }, ...{ labelDropout: 0.3 } });
  });
});

describe("a checkpoint that cannot be gone on from is passed over, which is said:", () => {
  const spoil: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
    "cut short": (bytes) => bytes.subarray(0, -100),
    empty: () => new Uint8Array(),
    "a flipped bit in a tensor": (bytes) => {
      bytes[bytes.length - 9]! ^= 1;
      return bytes;
    },
    "a flipped bit in its numbers": (bytes) => {
      bytes[bytes.indexOf("smooth") + 9]! ^= 1;
      return bytes;
    },
    "not finite": (bytes) => {
      const { tensors, metadata } = readSafetensors(bytes);
      const { crc32: _, ...others } = metadata;
      tensors["params/in"]!.data[0] = Number.NaN;
      return writeSafetensors(tensors, { metadata: others });
    },
  };
  test.each(Object.keys(spoil))("%s", async (how) => {
    const [whole, folder] = [freshFolder(), freshFolder()];
    await run(whole, 6);
    await run(folder, 4);
    const path = fileOf(folder, 4);
    await writeFile(path, spoil[how]!(await readFile(path)));
    const [start] = await run(folder, 6);
    expect(start).toMatchObject({ kind: "start", step: 2, resumedFrom: fileOf(folder, 2) });
    expect(start!.kind === "start" && start!.skipped).toMatchObject([
      { step: 4, problem: expect.stringContaining(path) },
    ]);
    expect((await readFile(fileOf(folder, 6))).equals(await readFile(fileOf(whole, 6)))).toBe(true);
  });

  test("where none is whole, that is the error", async () => {
    const folder = freshFolder();
    await run(folder, 2);
    await writeFile(fileOf(folder, 2), "nothing");
    await expect(run(folder, 4)).rejects.toThrow(ModelError);
    await expect(run(folder, 4)).rejects.toThrow(/step-00000002.*no older checkpoint is whole either/);
  });

  test("one of an earlier version has no checksum, and is read", async () => {
    const folder = freshFolder();
    await run(folder, 2);
    const { tensors, metadata } = readSafetensors(await readFile(fileOf(folder, 2)));
    const { crc32, ...others } = metadata;
    expect(crc32).toMatch(/^[0-9a-f]{8}$/);
    await writeFile(fileOf(folder, 2), writeSafetensors(tensors, { metadata: others }));
    expect((await run(folder, 4))[0]).toMatchObject({ step: 2 });
  });
});

describe("going back", () => {
  test("to an earlier step ends as if the later ones had not been; they go when a new one is safe", async () => {
    const [whole, folder] = [freshFolder(), freshFolder()];
    await run(whole, 6);
    await run(folder, 8);
    await expect(run(folder, 8, { fromStep: 5 })).rejects.toThrow(UsageError);
    await expect(run(folder, 8, { fromStep: 5 })).rejects.toThrow(
      /no checkpoint of step 5; there are those of 8, 6, 4/,
    );
    expect((await run(folder, 6, { fromStep: 4 }))[0]).toMatchObject({ kind: "start", step: 4 });
    expect(await stepsIn(folder)).toEqual([2, 4, 6]);
    expect((await readFile(fileOf(folder, 6))).equals(await readFile(fileOf(whole, 6)))).toBe(true);
  });

  test("a run that explodes names a checkpoint from before the trouble, from which a lower rate goes on", async () => {
    const folder = freshFolder();
    await run(folder, 4);
    const wild = {
      learningRate: 300,
      maxGradientNorm: 0,
      config: { ...config, learningRate: 300 },
      checkpointEvery: 1,
    };
    const error = await run(folder, 400, wild).catch((error) => error);
    expect(error).toBeInstanceOf(TrainingStopped);
    expect(error.message).toMatch(/training stopped at step \d+: .* The last good checkpoint is .* Go back to it by/);
    const { step } = (error as TrainingStopped).lastGood!;
    const [start] = await run(folder, step + 2, { fromStep: step });
    expect(start).toMatchObject({ kind: "start", step });
  });

  test("a loss on its way up is not sane, nor is one above the first", () => {
    expect(isSane({ steps: 9, first: 1, smooth: 0.1, lowest: 0.06 })).toBe(true);
    expect(isSane({ steps: 9, first: 1, smooth: 0.3, lowest: 0.1 })).toBe(false);
    expect(isSane({ steps: 9, first: 1, smooth: 0.05, lowest: 0.001 })).toBe(true);
    expect(isSane({ steps: 9, first: 1, smooth: 2 })).toBe(false);
  });
});

test("the newest checkpoints stay, and older ones at growing distance, bounded in number", () => {
  let kept: number[] = [];
  for (let step = 500; step <= 500_000; step += 500) {
    kept = stepsToKeep([step, ...kept], 3, 3);
    expect(kept.length).toBeLessThanOrEqual(6);
  }
  expect(kept.slice(0, 3)).toEqual([500_000, 499_500, 499_000]);
  const distances = kept.slice(3).map((step) => 500_000 - step);
  for (const [i, distance] of distances.slice(1).entries()) expect(distance / distances[i]!).toBeGreaterThan(2);
  expect(distances[0]).toBeLessThan(50_000);
  expect(stepsToKeep([3, 2, 1], 1, 0)).toEqual([3]);
});

test("a checkpoint is due by time too", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const options = { ...tinyRun(backend, 6), store: checkpointFolder(freshFolder()), checkpointEvery: 100 };
    const saved: number[] = [];
    for await (const { kind, step } of trainDenoiser({ ...options, checkpointMinutes: 5 })) {
      if (kind === "step") vi.advanceTimersByTime(2 * 60_000);
      if (kind === "checkpoint") saved.push(step);
    }
    expect(saved).toEqual([3, 6]);
  } finally {
    vi.useRealTimers();
  }
});
