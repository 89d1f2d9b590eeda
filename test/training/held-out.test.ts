import { afterAll, beforeAll, expect, test } from "vitest";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { float32, int32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint.ts";
import type { TrainingEvent } from "../../src/training/events.ts";
import type { Task } from "../../src/training/task.ts";
import { denoiserTask } from "../../src/training/tasks/denoiser.ts";
import { type TrainOptions, train } from "../../src/training/train.ts";
import { tinyNetwork, tinyRun, tinyWeights } from "./support/tiny.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

/** Held-out points, of which the slope is `slope`, where training's is 3. */
const held = (slope: number, stream: number) => {
  const x = normals(2, stream, 4);
  return {
    x: float32([4], x),
    y: float32(
      [4],
      x.map((value) => slope * value),
    ),
  };
};
const line = (slope: number): Task<{ x: NDArray<"float32">; y: NDArray<"float32"> }> => ({
  weights: { slope: float32([1]) },
  batchAt(step) {
    const x = normals(1, step, 8);
    return {
      x: float32([8], x),
      y: float32(
        [8],
        x.map((value) => 3 * value),
      ),
    };
  },
  loss: (params, { x, y }) => ({ objective: params.slope!.mul(x).sub(y).square() }),
  heldOut: [() => held(slope, 0), () => held(slope, 1)],
});

/** Keeps the newest checkpoint. */
function newest(): CheckpointStore {
  let last: Checkpoint | undefined;
  return {
    latest: async () => last && { path: "last", step: last.step, config: last.config, read: async () => last! },
    async save(checkpoint) {
      last = checkpoint;
      return "last";
    },
  };
}

async function run(slope: number, options: Partial<TrainOptions> = {}) {
  const all: TrainingEvent[] = [];
  const fixed = { backend, steps: 40, learningRate: 0.1, emaRate: 0, checkpointEvery: 4, store: newest() };
  for await (const event of train(line(slope), { ...fixed, ...options })) all.push(event);
  return all;
}
const checkpoints = (events: readonly TrainingEvent[]) => events.filter((event) => event.kind === "checkpoint");

test("a checkpoint of a run in steps holds nothing that depends on the time", async () => {
  const [one, other] = [newest(), newest()];
  for (const store of [one, other]) await run(3, { store });
  const read = async (store: CheckpointStore) => (await store.latest())!.read();
  expect(await read(one)).toEqual(await read(other));
  expect(await read(one)).not.toHaveProperty("falls");
});

test("at each checkpoint the averaged weights are measured on images that are never trained on", async () => {
  const events = checkpoints(await run(3));
  const x = [...held(3, 0).x.data, ...held(3, 1).x.data];
  for (const { averaged, heldOut } of events) {
    const off = (averaged.slope!.data[0]! - 3) ** 2;
    expect(heldOut).toBeCloseTo(x.reduce((sum, value) => sum + off * value ** 2, 0) / x.length, 4);
  }
  expect(events.at(-1)!.best).toEqual({ step: events.at(-1)!.step, heldOut: events.at(-1)!.heldOut });
});

test("the best is the one with the least loss, not the last, and is known after resuming", async () => {
  const store = newest();
  const events = checkpoints(await run(1.5, { store, steps: 36 }));
  const measures = events.map(({ heldOut }) => heldOut!);
  const least = Math.min(...measures);
  const best = { step: events[measures.indexOf(least)]!.step, heldOut: least };
  expect(best.step).toBeLessThan(36);
  expect(events.at(-1)!.best).toEqual(best);
  const [start, ...rest] = await run(1.5, { store });
  expect(start).toMatchObject({ kind: "start", step: 36, best });
  expect(checkpoints(rest).at(-1)!.best).toEqual(best);
});

test("a task without held-out images measures nothing", async () => {
  const { heldOut: _, ...task } = line(3);
  for await (const event of train(task, { backend, steps: 2, checkpointEvery: 1, store: newest() }))
    if (event.kind === "checkpoint") expect(Object.keys(event).sort()).toEqual(["averaged", "kind", "path", "step"]);
});

test("a denoiser's held-out images always have the same noise and levels, in every run, and keep their labels", async () => {
  const batch = { x: float32([16, 1, 4, 4], normals(3, 0, 256)), y: int32([16], new Int32Array(16).fill(2)) };
  const taskOf = (seed: number) =>
    denoiserTask({ ...tinyRun(backend, 4), seed, labelDropout: 0.9, heldOut: [batch, batch] });
  const [one, other] = await Promise.all([taskOf(1).heldOut![0]!(), taskOf(2).heldOut![0]!()]);
  expect(one).toEqual(other);
  expect([...one.y!.data]).toEqual([...batch.y.data]);
  const second = await taskOf(1).heldOut![1]!();
  expect(second.noise).not.toEqual(one.noise);
  const plain = denoiserTask({
    ...{ network: tinyNetwork, weights: tinyWeights, process: ddpmProcess({ steps: 20, variance: "learned-range" }) },
    ...{ batchAt: () => batch, classes: 3 },
  });
  expect(plain.heldOut).toBeUndefined();
});
