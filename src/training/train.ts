import { ModelError } from "../errors.ts";
import { float32, type NDArray, type Tree } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import type { CheckpointStore, Json, JsonObject } from "./checkpoint.ts";
import type { TrainingEvent } from "./events.ts";
import { notFinite, openNewest, type SkippedCheckpoint, stopped } from "./go-back.ts";
import { type LearningRateOptions, learningRateAt, learningRateAtProgress } from "./learning-rate.ts";
import { type Pace, type PaceOptions, type Pacer, pacer } from "./pace.ts";
import { checkResume, withHistory } from "./resume.ts";
import type { StepOptions } from "./step/graph.ts";
import { compileTraining, type TrainingProgram, type TrainingState } from "./step/program.ts";
import { type UpdateOptions, updateValues } from "./step/update.ts";
import { mapValues } from "./step/values.ts";
import { type Task, taskGraph } from "./task.ts";
import { type ClassifierOptions, classifierTask } from "./tasks/classifier.ts";
import { type ConsistencyOptions, consistencyTask } from "./tasks/consistency.ts";
import { type DenoiserOptions, denoiserTask } from "./tasks/denoiser.ts";
import { type ScoreOptions, scoreTask } from "./tasks/score.ts";
import { freshWatch, observe, type Watch } from "./watch.ts";

/** Settings of `train`; those of AdamW, of the learning rate, of the averages and of the run's length are among them. */
export interface TrainOptions extends LearningRateOptions, StepOptions, UpdateOptions, PaceOptions {
  /** Where it runs. */
  backend: Backend;
  /** Where checkpoints go and a run is resumed from; nothing is kept without. */
  store?: CheckpointStore;
  /** Updates between checkpoints; 1000 by default, and always after the last. */
  checkpointEvery?: number;
  /** Minutes between checkpoints, where so many updates take longer; 10 by default, 0 for no limit. */
  checkpointMinutes?: number;
  /** Goes on from the checkpoint of this step in place of the newest; those of later steps are removed when the next one is safe. */
  fromStep?: number;
  /** With `powerEma`: updates between the snapshots of its averages; by default a fortieth of the run, and always the last. */
  snapshotEvery?: number;
  /** Updates between `samples` events; none by default. */
  sampleEvery?: number;
  /** Minutes between `samples` events, beside those of `sampleEvery`; none by default. The first comes after a quarter of that. */
  sampleMinutes?: number;
  /** Stops the run when the smoothed loss is this many times the first loss; 20 by default. */
  lossLimit?: number;
  /**
   * Stored in checkpoints. Resuming a run that was started with another one is refused, but for keys of how it learns, as `learningRate`,
   * `maxGradientNorm` and `batchSize`: changes of those are recorded, with their step, under the key `changes`.
   */
  config?: JsonObject;
  /** Other keys of `config` that may change when a run is resumed, unrecorded. */
  mayChange?: readonly string[];
  /** Ends the run after the step that is under way, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * Trains: the loop. Goes on from the store's newest checkpoint where there is one, bit for bit as if it had not stopped. One that is damaged, or
 * holds numbers that are not finite, is passed over for the one before it; the `start` event says so.
 *
 * @param task weights, batches and loss; `denoiserTask` and the like make those of the literature.
 * @throws TrainingStopped (a RuntimeFailure) where the loss, its gradient or the weights leave the finite numbers, or the loss explodes:
 *   nothing is saved from then on, and the message names the last good checkpoint, to go back to with `fromStep` and other options. ModelError where the checkpoint belongs to a run with another `config`. UsageError for
 *   options out of range.
 */
export async function* train<const B extends Tree<NDArray>>(
  task: Task<B>,
  options: TrainOptions,
): AsyncGenerator<TrainingEvent, void, undefined> {
  const { store, lossLimit = 20, signal } = options;
  const start = await open(task, options);
  await using program = start.program;
  const { config, skipped } = start;
  let { step, watch, memory, path } = start;
  let savedStep = path === undefined ? -1 : step;
  const pace = pacer(options, start.pace);
  const due = calendar(options, pace);
  // All that falls on one step reads the state once.
  let read: Promise<TrainingState> | undefined;
  const state = (): Promise<TrainingState> => (read ??= program.readState());
  const save = async (): Promise<void> => {
    const { averages, ...weights } = await state();
    const where = notFinite({ ...weights, ...averages });
    if (where !== undefined) throw await stopped(step, `${where} holds numbers that are not finite`, store, watch);
    const now = pace.state();
    path = await store?.save({ ...(await state()), step, watch, ...(now && { pace: now }), task: memory, config });
    savedStep = step;
    due.saved();
  };
  const clock = stopwatch();
  yield {
    kind: "start",
    step,
    steps: options.steps,
    config,
    ...(path !== undefined && { resumedFrom: path, skipped }),
  };

  while (!pace.isOver(step)) {
    if (signal?.aborted) {
      if (store && step > savedStep) await save();
      yield { kind: "interrupted", step, ...(path !== undefined && { path }), averaged: (await state()).ema };
      return;
    }
    clock.start();
    read = undefined;
    const update = step + 1;
    const progress = pace.progressOf(update);
    const batch = await unlessAborted(async () => task.batchAt(update, memory), signal);
    if (!batch) continue;
    const { objective, ...report } = await updateOnce(program, batch, update, progress, options);
    const observed = observe(watch, report, lossLimit);
    if ("problem" in observed) throw await stopped(update, observed.problem, store, watch);
    watch = observed;
    if (task.memory) memory = task.memory.after(memory, update, objective);
    step = update;
    pace.note();
    if (store?.saveAverages && due.snapshot(step, progress)) await store.saveAverages(step, (await state()).averages!);
    const secondsPerStep = clock.stop();
    const { seconds, steps, secondsLeft = (steps - step) * secondsPerStep } = pace.outlook(step);
    const imagesPerSecond = objective.length / secondsPerStep;
    yield { kind: "step", step, steps, progress, seconds, ...report, imagesPerSecond, secondsLeft };
    if (store && due.checkpoint(step)) {
      await save();
      yield { kind: "checkpoint", step, path: path!, averaged: (await state()).ema };
    }
    if (due.samples(step)) yield { kind: "samples", step, averaged: (await state()).ema };
  }
  yield { kind: "done", step, averaged: (await state()).ema };
}

/** What is to be done after a step. */
function calendar(options: TrainOptions, pace: Pacer) {
  const { steps, minutes, powerEma = false, checkpointEvery = 1000, sampleEvery = 0, clock } = options;
  const usual = steps !== undefined && minutes === undefined ? Math.max(1, Math.round(steps / snapshots)) : undefined;
  const { snapshotEvery = usual } = options;
  const pause = timer(options.checkpointMinutes ?? 10, 1, clock);
  const sheet = timer(options.sampleMinutes ?? 0, firstSheet, clock);
  const every = (count: number, step: number): boolean => step % count === 0 || pace.isOver(step);
  let taken = 0;
  return {
    snapshot(step: number, progress: number): boolean {
      if (!powerEma) return false;
      if (snapshotEvery !== undefined) return every(snapshotEvery, step);
      const before = taken;
      taken = Math.floor(progress * snapshots);
      return taken > before || pace.isOver(step);
    },
    checkpoint: (step: number): boolean => every(checkpointEvery, step) || pause.isOver(),
    saved: pause.begin,
    samples(step: number): boolean {
      const byTime = sheet.isOver();
      if (byTime) sheet.begin();
      return byTime || (sampleEvery > 0 && step % sampleEvery === 0);
    },
  };
}

/** Snapshots of the averages in a run. */
const snapshots = 40;
/** Share of the time between sheets after which the first comes. */
const firstSheet = 0.25;

/** What `make` gives; nothing where the signal ended it, as a batch that takes long to make lets it. */
async function unlessAborted<T>(make: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  }
}

/** Makes update number `update`: the objective of the batch [N], and what is told of the step. */
async function updateOnce(
  program: TrainingProgram,
  batch: Tree<NDArray>,
  update: number,
  progress: number,
  options: TrainOptions,
) {
  const { steps, minutes } = options;
  const learningRate =
    minutes === undefined ? learningRateAt(update, steps!, options) : learningRateAtProgress(update, progress, options);
  const inputs = { batch, update: updateValues(update, learningRate, options) };
  const { objective, metrics, gradientNorm } = await program.run(inputs);
  return {
    objective: objective.data,
    loss: mean(objective.data),
    metrics: mapValues(metrics, ({ data }) => mean(data)),
    gradientNorm: gradientNorm.data[0]!,
    learningRate,
  };
}

/** Where a run begins. */
interface Start {
  readonly program: TrainingProgram;
  readonly step: number;
  readonly watch: Watch;
  readonly pace: Pace | undefined;
  readonly memory: Json;
  readonly config: JsonObject;
  readonly skipped: readonly SkippedCheckpoint[];
  /** The checkpoint that the run goes on from. */
  readonly path: string | undefined;
}

/** The program with its state as the newest checkpoint has it, or as it begins. In memory, the state is the program's alone. */
async function open<B extends Tree<NDArray>>(
  task: Task<B>,
  { backend, store, config: asked = {}, mayChange, fromStep, powerEma = false, ...options }: TrainOptions,
): Promise<Start> {
  const found = store && (await openNewest(store, fromStep));
  const path = found?.saved.path;
  if (found) checkResume(found.saved.path, found.checkpoint.config, asked, mayChange);
  const config = found ? withHistory(found.checkpoint, asked) : asked;
  const begin = () => ({ ...beginning(task, powerEma), task: task.memory?.initial ?? null, pace: undefined });
  const { step, watch, pace, task: memory, config: _, ...state } = found?.checkpoint ?? { ...begin(), config };
  if (powerEma !== (state.averages !== undefined))
    throw new ModelError(
      `${path}: this run was started ${powerEma ? "without" : "with"} powerEma; resume in the same way, or train into a new folder`,
    );
  const graph = taskGraph(task, state.params, await task.batchAt(step + 1, memory), { ...options, powerEma });
  const program = await compileTraining(graph, backend, state);
  return { program, step, watch, pace, memory, config, skipped: found?.skipped ?? [], path };
}

/** A run before its first update. */
function beginning({ weights: initial }: Pick<Task, "weights">, powerEma: boolean) {
  const weights = typeof initial === "function" ? initial() : initial;
  const zeros = mapValues(weights, ({ shape }) => float32(shape));
  const averages = powerEma && { averages: { short: weights, long: weights } };
  return { step: 0, watch: freshWatch, params: weights, m: zeros, v: zeros, ema: weights, ...averages };
}

/** Tells when so many minutes are over since it began; the first time after a share of them. Never with 0 minutes. */
function timer(minutes: number, first: number, clock = () => performance.now()) {
  let began = clock() - 60_000 * minutes * (1 - first);
  return {
    begin(): void {
      began = clock();
    },
    isOver: (): boolean => minutes > 0 && clock() - began >= 60_000 * minutes,
  };
}

/** Seconds of a step, smoothed over about ten. */
function stopwatch() {
  let began = 0;
  let smooth: number | undefined;
  return {
    start(): void {
      began = performance.now();
    },
    stop(): number {
      const seconds = (performance.now() - began) / 1000;
      smooth = smooth === undefined ? seconds : 0.9 * smooth + 0.1 * seconds;
      return smooth;
    },
  };
}

const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Trains a denoiser: `train` with a `denoiserTask`. */
export const trainDenoiser = (
  options: DenoiserOptions & TrainOptions,
): AsyncGenerator<TrainingEvent, void, undefined> => train(denoiserTask(options), options);

/** Trains a noisy classifier: `train` with a `classifierTask`. */
export const trainClassifier = (
  options: ClassifierOptions & TrainOptions,
): AsyncGenerator<TrainingEvent, void, undefined> => train(classifierTask(options), options);

/** Trains a score network, or an energy: `train` with a `scoreTask`. */
export const trainScore = (options: ScoreOptions & TrainOptions): AsyncGenerator<TrainingEvent, void, undefined> =>
  train(scoreTask(options), options);

/** Trains a student, which draws in a few steps: `train` with a `consistencyTask`. */
export const trainConsistency = (
  options: ConsistencyOptions & TrainOptions,
): AsyncGenerator<TrainingEvent, void, undefined> => train(consistencyTask(options), options);
