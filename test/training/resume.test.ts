import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkpointFolder, latestCheckpoint } from "../../src/checkpoint/run-folder.ts";
import { decodeCheckpoint } from "../../src/checkpoint/training-file.ts";
import { ModelError, RuntimeFailure } from "../../src/errors.ts";
import { stage } from "../../src/files/atomic.ts";
import { bytesOf } from "../../src/formats/bytes.ts";
import { float32 } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { TrainingEvent } from "../../src/training/events.ts";
import type { DenoiserOptions } from "../../src/training/tasks/denoiser.ts";
import { type TrainOptions, trainDenoiser } from "../../src/training/train.ts";
import { tinyRun } from "./support/tiny.ts";

let backend: Backend;
let root: string;
let count = 0;
beforeAll(async () => {
  backend = await openBackend();
  root = await mkdtemp(join(tmpdir(), "guidestar-training-"));
});
afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});
const freshFolder = (): string => join(root, `${count++}`);

async function collect(events: AsyncIterable<TrainingEvent>): Promise<TrainingEvent[]> {
  const all: TrainingEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}
const start = (folder: string, steps: number, options: Partial<DenoiserOptions & TrainOptions> = {}) =>
  trainDenoiser({ ...tinyRun(backend, steps), store: checkpointFolder(folder), checkpointEvery: 2, ...options });
const run = (...options: Parameters<typeof start>): Promise<TrainingEvent[]> => collect(start(...options));
const newest = async (folder: string): Promise<Buffer> => readFile((await latestCheckpoint(folder))!);

/** Trains in another process and kills it as soon as it reports `line`, or begins to write a file after that. */
async function trainAndKill(folder: string, steps: number, line: string, writing = false): Promise<void> {
  const script = fileURLToPath(new URL("./support/run.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, `${steps}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  for await (const reported of createInterface(child.stdout)) if (reported === line) break;
  if (writing) {
    const before = await readdir(folder);
    for await (const { filename } of watch(folder)) if (!before.includes(filename!)) break;
  }
  child.kill("SIGKILL");
  expect((await exited)[1]).toBe("SIGKILL");
}

test("a run with assigned noise and changed images goes on to the same bytes", async () => {
  const options = { immiscible: true, augment: 0.5, decay: "none" } as const;
  const [whole, parts, plain] = [freshFolder(), freshFolder(), freshFolder()];
  await run(whole, 5, options);
  await run(parts, 2, options);
  await run(parts, 5, options);
  await run(plain, 5, { decay: "none" });
  const end = await newest(whole);
  expect(end.equals(await newest(parts))).toBe(true);
  expect(end.equals(await newest(plain))).toBe(false);
});

test("a run killed at any moment and resumed ends in the same bytes as one never stopped", {
  timeout: 60_000,
}, async () => {
  const [whole, killed] = [freshFolder(), freshFolder()];
  await run(whole, 40);
  await trainAndKill(killed, 40, "step 3");
  await trainAndKill(killed, 40, "checkpoint 7", true);
  const events = await run(killed, 40);
  expect(events[0]).toMatchObject({ kind: "start", steps: 40 });
  expect(events[0]!.step).toBeGreaterThanOrEqual(7);
  expect(events.at(-1)).toMatchObject({ kind: "done", step: 40 });
  const end = await newest(killed);
  expect(end.equals(await newest(whole))).toBe(true);
  // The comparison means something: the timestep sampler's history was full, so that it mattered.
  const history = decodeCheckpoint(bytesOf(end), "end").task as number[][];
  expect(history.every((losses) => losses.length === 10)).toBe(true);
});

test("files that a killed run was writing are ignored, then removed; the newest checkpoints stay", async () => {
  const folder = freshFolder();
  await run(folder, 4);
  await stage(join(folder, "step-00000009.safetensors"), (await newest(folder)).subarray(0, 1000));
  expect((await readdir(folder)).length).toBe(3);
  await mkdir(join(folder, "mine.partial"));
  const events = await run(folder, 12);
  expect(events[0]).toMatchObject({ kind: "start", step: 4 });
  expect((await readdir(folder)).sort()).toEqual([
    "mine.partial",
    ...[2, 4, 6, 8, 10, 12].map((step) => `step-${`${step}`.padStart(8, "0")}.safetensors`),
  ]);
});

test("raising the signal ends the run after its step, with a checkpoint to resume from", async () => {
  const [whole, stopped] = [freshFolder(), freshFolder()];
  await run(whole, 8);
  const controller = new AbortController();
  const events: TrainingEvent[] = [];
  for await (const event of start(stopped, 8, { checkpointEvery: 100, signal: controller.signal })) {
    events.push(event);
    if (event.step === 5) controller.abort();
  }
  const path = (await latestCheckpoint(stopped))!;
  const averaged = decodeCheckpoint(bytesOf(await readFile(path)), path).ema;
  expect(events.at(-1)).toEqual({ kind: "interrupted", step: 5, path, averaged });
  expect((await run(stopped, 8))[0]).toMatchObject({ kind: "start", step: 5 });
  expect((await newest(stopped)).equals(await newest(whole))).toBe(true);
});

test("a loss that is not a number stops the run, names the last good checkpoint, and writes nothing more", async () => {
  const folder = freshFolder();
  const { batchAt } = tinyRun(backend, 10);
  const poisoned: DenoiserOptions["batchAt"] = async (step) => {
    const { x, y } = await batchAt(step);
    return {
      x:
        step === 6
          ? float32(
              x.shape,
              x.data.map(() => Number.NaN),
            )
          : x,
      y,
    };
  };
  const before = run(folder, 10, { batchAt: poisoned });
  await expect(before).rejects.toThrow(RuntimeFailure);
  await expect(before).rejects.toThrow(
    `training stopped at step 6: the loss is NaN. The last good checkpoint is ${join(folder, "step-00000004.safetensors")}.`,
  );
  expect(await latestCheckpoint(folder)).toBe(join(folder, "step-00000004.safetensors"));
});

test("an exploding loss stops the run", async () => {
  await expect(run(freshFolder(), 200, { learningRate: 1000 })).rejects.toThrow(
    /training stopped at step \d+: the loss explodes/,
  );
});

test("a checkpoint of a run with other options is refused, and says which", async () => {
  const folder = freshFolder();
  await run(folder, 2);
  const resumed = run(folder, 4, { config: { batch: 32, seed: 1 } });
  await expect(resumed).rejects.toThrow(ModelError);
  await expect(resumed).rejects.toThrow("batch was 16, now 32");
});

test("events come in order, and samples are asked for with the averaged weights", async () => {
  const events = await run(freshFolder(), 4, { sampleEvery: 2 });
  expect(events.map(({ kind, step }) => `${kind} ${step}`)).toEqual([
    "start 0",
    "step 1",
    "step 2",
    "checkpoint 2",
    "samples 2",
    "step 3",
    "step 4",
    "checkpoint 4",
    "samples 4",
    "done 4",
  ]);
  const samples = events.find((event) => event.kind === "samples");
  expect(Object.keys(samples?.averaged ?? {})).toEqual(["in", "time", "label", "out"]);
  const step = events.find((event) => event.kind === "step");
  expect(Object.keys(step?.metrics ?? {})).toEqual(["mse", "vb"]);
});
