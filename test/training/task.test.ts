import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ddpmProcess, edmProcess, flowProcess } from "../../src/diffusion/process-config.ts";
import { ModelError, RuntimeFailure } from "../../src/errors.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint.ts";
import { noiseSampler } from "../../src/training/draws.ts";
import { type TrainingEvent, trained, type Weights } from "../../src/training/events.ts";
import { refusedChanges, withHistory } from "../../src/training/resume.ts";
import type { Task } from "../../src/training/task.ts";
import { classifierTask } from "../../src/training/tasks/classifier.ts";
import { denoiserTask } from "../../src/training/tasks/denoiser.ts";
import { scoreTask } from "../../src/training/tasks/score.ts";
import { train } from "../../src/training/train.ts";
import { tinyProcess, tinyRun, tinyWeights } from "./support/tiny.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

/** The slope of y = 3 x. */
const line: Task<{ x: NDArray<"float32"> }> = {
  weights: { slope: float32([1]) },
  batchAt: (step) => ({ x: float32([8], normals(1, step, 8)) }),
  loss: ({ slope }, { x }) => ({ objective: slope!.mul(x).sub(x.mul(3)).square(), metrics: { size: x.abs() } }),
};
const options = () => ({ backend, steps: 6, learningRate: 0.5, emaRate: 0.5 });

test.each([
  [
    "a mean over the batch",
    [],
    /objective must be \[N\], one number for each of the 8 images of the batch, but is \[\]/,
  ],
  ["a number for each value", [8, 3], /objective must be \[N\].* but is \[8, 3\]/],
  ["one number", [1], /objective must be \[N\].* but is \[1\]/],
])("an objective that is %s is refused, for its gradient would be another one", async (_, shape, message) => {
  const wrong: typeof line = {
    ...line,
    loss: ({ slope }) => ({
      objective: slope!
        .mul(2)
        .sum()
        .expand(...shape),
    }),
  };
  await expect(trained(train(wrong, options()))).rejects.toThrow(message);
});

/** Checkpoints in memory, of which the newest is kept. */
function memoryStore(saved: Checkpoint[] = []): CheckpointStore {
  return {
    async latest() {
      const last = saved.at(-1);
      return last && { path: `step ${last.step}`, step: last.step, config: last.config, read: async () => last };
    },
    async save(checkpoint) {
      saved.push(checkpoint);
      return `step ${checkpoint.step}`;
    },
    async saveAverages() {},
  };
}

describe("a task of one's own", () => {
  test("is its weights, batches and a loss; what it reports is in the events", async () => {
    const events: TrainingEvent[] = [];
    for await (const event of train(line, { ...options(), steps: 200, learningRate: 0.1 })) events.push(event);
    const last = events.at(-1)!;
    expect(last.kind === "done" && last.averaged.slope!.data[0]).toBeCloseTo(3, 1);
    const step = events.find((event) => event.kind === "step")!;
    const { x } = await line.batchAt(1, null);
    expect(step.kind === "step" && step.metrics.size).toBeCloseTo(
      x.data.reduce((sum, v) => sum + Math.abs(v) / 8, 0),
      5,
    );
    expect(step.kind === "step" && step.loss).toBeCloseTo(9 * x.data.reduce((sum, v) => sum + v ** 2 / 8, 0), 4);
  });

  test("may remember: each batch gets what was made of the ones before, after resuming too", async () => {
    const seen: [number, unknown][] = [];
    const task: Task<{ x: NDArray<"float32"> }> = {
      ...line,
      batchAt(step, memory) {
        seen.push([step, memory]);
        return line.batchAt(step, memory);
      },
      memory: { initial: 0, after: (before, step, objective) => Number(before) + step * objective.length },
    };
    const saved: Checkpoint[] = [];
    const store = memoryStore(saved);
    await trained(train(task, { ...options(), steps: 2, store }));
    await trained(train(task, { ...options(), steps: 3, store }));
    // The first batch is asked for twice: once for shapes.
    expect(seen).toEqual([
      [1, 0],
      [1, 0],
      [2, 8],
      [3, 24],
      [3, 24],
    ]);
    expect(saved.map(({ task }) => task)).toEqual([24, 48]);
  });

  test("makes its weights where a run begins, and not where one goes on", async () => {
    let made = 0;
    const task: Task<{ x: NDArray<"float32"> }> = {
      ...line,
      weights: () => {
        made++;
        return { slope: float32([1]) };
      },
    };
    const store = memoryStore();
    await trained(train(task, { ...options(), steps: 2, store }));
    await trained(train(task, { ...options(), steps: 4, store }));
    expect(made).toBe(1);
  });

  test("ends in the averaged weights, or in an error where it was interrupted", async () => {
    const { slope } = await trained(train(line, options()));
    expect(slope!.shape).toEqual([1]);
    await expect(trained(train(line, { ...options(), signal: AbortSignal.abort() }))).rejects.toThrow(RuntimeFailure);
  });
});

describe("batches are functions of the step", () => {
  const images = (step: number) => ({
    x: float32([4, 1, 4, 4], normals(3, step, 64)),
    y: { dtype: "int32", shape: [4], data: Int32Array.of(0, 1, 2, 1) } as const,
  });
  const common = { weights: tinyWeights, batchAt: images, seed: 7 };
  const network = () => {
    throw new Error("not traced here");
  };
  const denoiser = { ...common, network, classes: 3, labelDropout: 0.5 };
  const tasks: Record<string, Task> = {
    "denoiser, uniform": denoiserTask({ ...denoiser, process: ddpmProcess() }),
    "denoiser, noise given to near images": denoiserTask({ ...denoiser, process: ddpmProcess(), immiscible: true }),
    "denoiser, told how images were changed": denoiserTask({ ...denoiser, process: ddpmProcess(), augment: 0.5 }),
    "denoiser, log-normal": denoiserTask({ ...denoiser, process: edmProcess(), timesteps: "log-normal" }),
    "denoiser, flow": denoiserTask({ ...denoiser, process: flowProcess() }),
    "denoiser, loss-second-moment": denoiserTask({
      ...denoiser,
      process: ddpmProcess({ steps: 20 }),
      timesteps: "loss-second-moment",
    }),
    classifier: classifierTask({ ...common, network, process: tinyProcess }),
    score: scoreTask({ ...common, network, sigmaRange: [0.1, 10], classes: 3, labelDropout: 0.5 }),
  };
  test.each(Object.entries(tasks))("%s: the same in any order", async (_, task) => {
    const full = Array.from({ length: 20 }, (_, t) => Array.from({ length: 10 }, (_, i) => 1 + ((t * i) % 7)));
    const memory = task.memory ? full : null;
    const inOrder = [];
    for (const step of [1, 2, 3, 4]) inOrder.push(await task.batchAt(step, memory));
    for (const step of [3, 1, 4, 4, 2, 1]) expect(await task.batchAt(step, memory)).toEqual(inOrder[step - 1]);
    expect(inOrder[0]).not.toEqual(inOrder[1]);
  });

  test("what a denoiser remembers is a new value, and the old one stays", () => {
    const { memory } = tasks["denoiser, loss-second-moment"]!;
    const before = JSON.parse(JSON.stringify(memory!.initial));
    const after = memory!.after(before, 1, Float32Array.of(1, 2, 3, 4));
    expect(before).toEqual(memory!.initial);
    expect((after as number[][]).flat()).toHaveLength(4);
  });

  test("noise and levels are drawn by seed and step", () => {
    const draw = noiseSampler(ddpmProcess(), { seed: 1 });
    expect(draw(5, [2, 1, 4, 4])).toEqual(noiseSampler(ddpmProcess(), { seed: 1 })(5, [2, 1, 4, 4]));
    expect(draw(6, [2, 1, 4, 4])).not.toEqual(draw(5, [2, 1, 4, 4]));
    expect(noiseSampler(ddpmProcess(), { seed: 2 })(5, [2, 1, 4, 4])).not.toEqual(draw(5, [2, 1, 4, 4]));
  });
});

test("the state is read once, however much falls on a step", async () => {
  let reads = 0;
  const counting: Backend = {
    ...backend,
    async load(...args) {
      const model = await backend.load(...args);
      const readState: typeof model.readState = (names) => {
        reads++;
        return model.readState(names);
      };
      return Object.assign(Object.create(model), { readState, run: model.run.bind(model) });
    },
  };
  const every = { checkpointEvery: 2, sampleEvery: 2, snapshotEvery: 2, powerEma: true };
  await trained(train(line, { ...options(), ...every, steps: 4, backend: counting, store: memoryStore() }));
  expect(reads).toBe(2);
});

describe("resuming", () => {
  test("a switch that came after a run began was off in it", () => {
    expect(refusedChanges({ seed: 1 }, { seed: 1, powerEma: false })).toEqual([]);
    expect(refusedChanges({ seed: 1 }, { seed: 1, powerEma: true })).toHaveLength(1);
    const saved = { step: 3, config: { seed: 1 } };
    expect(withHistory(saved, { seed: 1, immiscible: false })).toEqual({ seed: 1, immiscible: false });
    expect(withHistory(saved, { seed: 1, immiscible: true })).toMatchObject({
      changes: [{ step: 3, immiscible: { before: null, now: true } }],
    });
  });

  test("options may change where they are declared to", async () => {
    const store = memoryStore();
    const run = (steps: number, config: Record<string, number>, mayChange?: string[]) =>
      trained(train(line, { ...options(), steps, store, config, ...(mayChange && { mayChange }) }));
    await run(2, { seed: 1, threads: 1 });
    await run(3, { seed: 1, threads: 2 }, ["threads"]);
    await expect(run(4, { seed: 2, threads: 2 }, ["threads"])).rejects.toThrow(ModelError);
    await expect(run(4, { seed: 2, threads: 2 }, ["threads"])).rejects.toThrow(
      "step 3: this run was started with other options: seed was 1, now 2.",
    );
    await expect(run(4, { seed: 1 }, ["seed"])).rejects.toThrow("threads was 2, now undefined");
  });

  test("leaves no second copy of the checkpoint in memory", async () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const copies: WeakRef<Float32Array>[] = [];
    const copy = (weights: Weights, of: (value: number) => number = (value) => value): Weights =>
      Object.fromEntries(
        Object.entries(weights).map(([key, { shape, data }]) => {
          const values = data.map(of);
          copies.push(new WeakRef(values));
          return [key, float32(shape, values)];
        }),
      );
    const run = tinyRun(backend, 3);
    const read = async (): Promise<Checkpoint> => ({
      ...{ step: 1, config: {}, watch: { steps: 0, first: 0, smooth: 0 } },
      task: Array.from({ length: 20 }, () => []),
      params: copy(run.weights as Weights),
      m: copy(run.weights as Weights),
      v: copy(run.weights as Weights, (value) => value ** 2),
      ema: copy(run.weights as Weights),
    });
    const store = { ...memoryStore(), latest: async () => ({ path: "there", step: 1, config: {}, read }) };
    const events = train(denoiserTask(run), { ...run, config: {}, store });
    for await (const event of events) if (event.kind === "step") break;
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(copies).toHaveLength(16);
    expect(copies.filter((copy) => copy.deref())).toEqual([]);
  });
});
