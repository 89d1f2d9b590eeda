import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { Checkpoint, CheckpointStore } from "../../src/training/checkpoint.ts";
import type { TrainingEvent } from "../../src/training/events.ts";
import { learningRateAtProgress } from "../../src/training/learning-rate.ts";
import { type Pace, pacer } from "../../src/training/pace.ts";
import type { Task } from "../../src/training/task.ts";
import { type TrainOptions, train } from "../../src/training/train.ts";

/** A clock that stands still until it is moved, by seconds. */
function handClock() {
  let time = 1e6;
  return {
    clock: () => time,
    move(seconds: number): void {
      time += 1000 * seconds;
    },
  };
}

/** The shares of a run on which update number n takes `seconds(n)`, one for each update. */
function follow(minutes: number, seconds: (update: number) => number, before?: Pace, done = 0) {
  const { clock, move } = handClock();
  const pace = pacer({ minutes, clock }, before);
  const shares: number[] = [];
  for (let step = done; !pace.isOver(step); step++) {
    shares.push(pace.progressOf(step + 1));
    move(seconds(step + 1));
    pace.note();
  }
  return { shares, ...pace.outlook(done + shares.length) };
}

describe("a budget in minutes", () => {
  test("is spent at an even pace, and ends at a share of 1 exactly", () => {
    const { shares, seconds, steps, secondsLeft } = follow(1, () => 0.5);
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    // Nothing is known of the speed before the first update has ended; the others share what is left.
    expect(shares[0]).toBe(0);
    expect(shares[60]).toBeCloseTo(60 / 119, 10);
    expect([steps, shares.length, seconds, secondsLeft]).toEqual([120, 120, 60, 0]);
  });

  test.each([
    ["slows down", (update: number) => (update < 40 ? 0.5 : 4)],
    ["speeds up", (update: number) => (update < 40 ? 0.5 : 0.05)],
    ["stands still now and then", (update: number) => (update % 17 === 0 ? 6 : 0.2)],
  ])("ends at 1 and in time where the machine %s", (_, seconds) => {
    const { shares, ...end } = follow(1, seconds);
    expect(shares.at(-1)).toBe(1);
    expect(shares.every((share, i) => i === 0 || share > shares[i - 1]!)).toBe(true);
    expect(end.seconds).toBeGreaterThan(52);
    // The last update may begin just before the end.
    expect(end.seconds).toBeLessThan(60 + 2 * 4);
  });

  test("that one update exceeds ends with the next", () => {
    expect(follow(1, () => 100).shares).toEqual([0, 1]);
  });

  test("goes on from what a checkpoint holds", () => {
    const before = { seconds: 30, progress: 0.4, secondsPerStep: 1, smoothedOver: 10, minutes: 1 };
    const { shares } = follow(1, () => 1, before, 10);
    expect(shares.length).toBe(30);
    expect(shares[0]).toBeCloseTo(0.4 + 0.6 / 30, 12);
    expect(shares.at(-1)).toBe(1);
  });

  test("that is longer than before begins at its own share", () => {
    const done = { seconds: 60, progress: 1, secondsPerStep: 1, smoothedOver: 60, minutes: 1 };
    const { shares } = follow(2, () => 1, done, 60);
    expect(shares).toHaveLength(60);
    expect(shares[0]).toBeCloseTo(0.5 + 0.5 / 60, 12);
    expect(follow(1, () => 1, done, 60).shares).toEqual([]);
  });

  test("may be given beside steps; the first to end ends the run", () => {
    const { clock, move } = handClock();
    const pace = pacer({ minutes: 10, steps: 3, clock });
    const over = [1, 2, 3].map((update) => {
      expect(pace.progressOf(update)).toBeCloseTo(update / 3, 12);
      move(1);
      pace.note();
      return pace.isOver(update);
    });
    expect(over).toEqual([false, false, true]);
  });

  test.each([{}, { minutes: 0 }, { minutes: Number.POSITIVE_INFINITY }])("of %o is refused", (budget) => {
    expect(() => pacer(budget)).toThrow(UsageError);
  });
});

test("the rate follows the share of the run: up over the warm-up or a tenth, then down to 0", () => {
  const options = { learningRate: 2, warmUpSteps: 100, decay: "cosine", finalLearningRate: 0 } as const;
  expect(learningRateAtProgress(50, 0.001, options)).toBeCloseTo(0.5 * (1 + Math.cos(Math.PI * 0.001)), 12);
  expect(learningRateAtProgress(4, 0.05, options)).toBeCloseTo(0.5 * (1 + Math.cos(Math.PI * 0.05)), 12);
  expect(learningRateAtProgress(500, 0.5, options)).toBeCloseTo(1, 12);
  expect(learningRateAtProgress(900, 1, options)).toBe(0);
  expect(learningRateAtProgress(500, 0.75, { learningRate: 2, decay: "linear", finalLearningRate: 1 })).toBe(1.25);
  expect(learningRateAtProgress(1, 0.5, { learningRate: 2 })).toBe(2);
});

describe("a training of so many minutes", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openBackend({ threads: 1 });
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  /** The slope of y = 3 x. */
  const line: Task<{ x: NDArray<"float32"> }> = {
    weights: { slope: float32([1]) },
    batchAt: (step) => ({ x: float32([8], normals(1, step, 8)) }),
    loss: ({ slope }, { x }) => ({ objective: slope!.mul(x).sub(x.mul(3)).square() }),
  };
  const uneven = (update: number): number => 1 + (update % 3) / 2;
  /** A run on whose clock time passes with each batch. */
  const run = async (options: Partial<TrainOptions>, seconds = uneven): Promise<TrainingEvent[]> => {
    const { clock, move } = handClock();
    const task: typeof line = {
      ...line,
      batchAt(step, memory) {
        move(seconds(step));
        return line.batchAt(step, memory);
      },
    };
    const all: TrainingEvent[] = [];
    const fixed = { backend, minutes: 0.5, learningRate: 0.1, decay: "cosine", emaRate: 0.5, clock } as const;
    for await (const event of train(task, { ...fixed, ...options })) all.push(event);
    return all;
  };
  const steps = (events: readonly TrainingEvent[]) => events.filter((event) => event.kind === "step");
  const slope = (events: readonly TrainingEvent[]) => {
    const last = events.at(-1)!;
    return last.kind === "done" ? last.averaged.slope!.data[0] : undefined;
  };
  /** Keeps every checkpoint; goes on from the newest of up to `until` steps. */
  const memory = (saved: Checkpoint[], until: number): CheckpointStore => ({
    async latest() {
      const last = saved.filter(({ step }) => step <= until).at(-1);
      return last && { path: `step ${last.step}`, step: last.step, config: last.config, read: async () => last };
    },
    async save(checkpoint) {
      saved.push(JSON.parse(JSON.stringify(checkpoint), revive));
      return `step ${checkpoint.step}`;
    },
  });
  const revive = (key: string, value: unknown) =>
    key === "data" ? Float32Array.from(Object.values(value as Record<string, number>)) : value;

  test("reports time and share, and ends at a rate of 0", async () => {
    const reported = steps(await run({}));
    expect(reported.at(-1)).toMatchObject({
      progress: 1,
      learningRate: 0,
      step: reported.length,
      steps: reported.length,
    });
    expect(reported.at(-1)!.seconds).toBeGreaterThan(27);
    expect(reported.at(-1)!.seconds).toBeLessThan(33);
    expect(reported.at(3)!.steps).toBeGreaterThan(15);
  });

  test("resumed on a machine of the same speed, is bit for bit the run that never stopped", async () => {
    const saved: Checkpoint[] = [];
    const whole = await run({ store: memory(saved, 0), checkpointEvery: 7 });
    expect(saved.map(({ step }) => step).slice(0, 2)).toEqual([7, 14]);
    const store = memory(saved, 7);
    const resumed = await run({ store });
    expect(resumed[0]).toMatchObject({ kind: "start", step: 7 });
    expect(steps(resumed)).toHaveLength(steps(whole).length - 7);
    expect(slope(resumed)).toBe(slope(whole));
  });

  test("asks for sheets by its clock too: the first after a quarter of the time between them", async () => {
    const events = await run({ sampleMinutes: 0.2 });
    const asked = events.filter(({ kind }) => kind === "samples").map(({ step }) => steps(events)[step - 1]!.seconds);
    expect(asked[0]).toBeGreaterThanOrEqual(3);
    expect(asked[0]).toBeLessThan(5);
    expect(asked[1]! - asked[0]!).toBeGreaterThanOrEqual(12);
    expect(asked).toHaveLength(3);
  });

  test("with the shares that were recorded, gives the same bits on any clock", async () => {
    const whole = await run({});
    const shares = steps(whole).map(({ progress }) => progress);
    const again = await run({ recordedProgress: (update) => shares[update - 1] }, () => 0.01);
    expect(slope(again)).toBe(slope(whole));
    expect(steps(again).map(({ loss }) => loss)).toEqual(steps(whole).map(({ loss }) => loss));
  });
});
