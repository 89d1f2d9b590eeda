import { ModelError } from "../errors.ts";
import { float32, type NDArray, type Tree } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import { type Best, betterOf } from "./best.ts";
import { type CalendarOptions, calendar } from "./calendar.ts";
import type { CheckpointStore, Json, JsonObject } from "./checkpoint.ts";
import type { TrainingEvent } from "./events.ts";
import { notFinite, openNewest, type SkippedCheckpoint, stopped } from "./go-back.ts";
import { heldOutOf } from "./held-out.ts";
import { type LearningRateOptions, learningRateAt, learningRateAtProgress } from "./learning-rate.ts";
import { type Pace, type PaceOptions, pacer } from "./pace.ts";
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
import { type Fall, fallWith, isFlat } from "./until.ts";
import { freshWatch, observe, type Watch } from "./watch.ts";

/** Settings of `train`; those of AdamW, of the learning rate, of the averages and of the run's length are among them. */
export interface TrainOptions extends LearningRateOptions, StepOptions, UpdateOptions, PaceOptions, CalendarOptions {
  /** Where it runs. */
  backend: Backend;
  /** Where checkpoints go and a run is resumed from; nothing is kept without. */
  store?: CheckpointStore;
  /** Goes on from the checkpoint of this step in place of the newest; those of later steps are removed when the next one is safe. */
  fromStep?: number;
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
  const { store, signal } = options;
  const start = await open(task, options);
  await using program = start.program;
  const { config, skipped } = start;
  let { path } = start;
  let judged: Judged = start;
  let now: Moment = start;
  let savedStep = path === undefined ? -1 : now.step;
  const pace = pacer(options, start.pace);
  const due = calendar(options, pace);
  await using held = heldOutOf(task, options.backend);
  // All that falls on one step reads the state once.
  let read: Promise<TrainingState> | undefined;
  const state = (): Promise<TrainingState> => (read ??= program.readState());
  const save = async (): Promise<void> => {
    path = (await saveChecked(await state(), now, { ...judged, pace: pace.state() }, config, store)) ?? path;
    savedStep = now.step;
    due.saved();
  };
  const resumed = path !== undefined && { resumedFrom: path, skipped, ...(judged.best && { best: judged.best }) };
  yield { kind: "start", step: now.step, steps: options.steps, config, ...resumed };

  const clock = stopwatch();
  while (!pace.isOver(now.step)) {
    if (signal?.aborted) {
      if (store && now.step > savedStep) await save();
      yield { kind: "interrupted", step: now.step, ...(path !== undefined && { path }), averaged: (await state()).ema };
      return;
    }
    clock.start();
    read = undefined;
    const progress = pace.progressOf(now.step + 1);
    const { step: before, memory } = now;
    const batch = await unlessAborted(async () => task.batchAt(before + 1, memory), signal);
    if (!batch) continue;
    const made = await updateOnce(program, { task, batch }, now, progress, options);
    now = made;
    const { step } = now;
    pace.note();
    if (store?.saveAverages && due.snapshot(step, progress)) await store.saveAverages(step, (await state()).averages!);
    const secondsPerStep = clock.stop();
    const { seconds, steps, secondsLeft = (steps - step) * secondsPerStep } = pace.outlook(step);
    const imagesPerSecond = made.images / secondsPerStep;
    yield { kind: "step", step, steps, progress, seconds, ...made.report, imagesPerSecond, secondsLeft };
    if (store && due.checkpoint(step)) {
      const heldOut = await held.measure((await state()).ema);
      if (heldOut !== undefined) judged = judge(judged, { step, seconds, heldOut }, options);
      const windsUp = options.until && isFlat(judged.falls, seconds, options.minutes!) && pace.windUp();
      await save();
      const quality = { ...(heldOut !== undefined && { heldOut, best: judged.best! }), ...(windsUp && { windsUp }) };
      yield { kind: "checkpoint", step, path: path!, averaged: (await state()).ema, ...quality };
    }
    if (due.samples(step)) yield { kind: "samples", step, averaged: (await state()).ema };
  }
  yield { kind: "done", step: now.step, averaged: (await state()).ema };
}

/** What a run knows after a step, beside its weights. */
interface Moment {
  readonly step: number;
  readonly watch: Watch;
  readonly memory: Json;
}

/** What held-out images say of a run so far. */
interface Judged {
  readonly best: Best | undefined;
  /** Of a run until it is good: they hold seconds, and a run in steps is the same however fast it is. */
  readonly falls: readonly Fall[] | undefined;
}

const judge = (
  { best, falls = [] }: Judged,
  { step, seconds, heldOut }: Best & Fall,
  { until }: Pick<TrainOptions, "until">,
): Judged => ({
  best: betterOf(best, { step, heldOut }),
  falls: until && fallWith(falls, { seconds, heldOut }),
});

/** What checkpoints hold of a run as a whole. */
interface Kept extends Judged {
  readonly pace: Pace | undefined;
}

/** Saves a checkpoint; nothing without a store. Throws TrainingStopped where numbers are not finite. */
async function saveChecked(
  state: TrainingState,
  { step, watch, memory }: Moment,
  { pace, best, falls }: Kept,
  config: JsonObject,
  store: CheckpointStore | undefined,
): Promise<string | undefined> {
  const { averages, ...weights } = state;
  const where = notFinite({ ...weights, ...averages });
  if (where !== undefined) throw await stopped(step, `${where} holds numbers that are not finite`, store, watch);
  const run = { ...(pace && { pace }), ...(best && { best }), ...(falls && { falls }) };
  return store?.save({ ...state, step, watch, ...run, task: memory, config });
}

/** What `make` gives; nothing where the signal ended it, as a batch that takes long to make lets it. */
async function unlessAborted<T>(make: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | undefined> {
  try {
    return await make();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return undefined;
    throw error;
  }
}

/** Makes the next update: what is known after it, and what is told of it. Throws TrainingStopped where the loss is not what it should be. */
async function updateOnce<B extends Tree<NDArray>>(
  program: TrainingProgram,
  { task, batch }: { readonly task: Pick<Task<B>, "memory">; readonly batch: B },
  { step, watch, memory }: Moment,
  progress: number,
  options: TrainOptions,
) {
  const { steps, minutes, store, lossLimit = 20 } = options;
  const update = step + 1;
  const learningRate =
    minutes === undefined ? learningRateAt(update, steps!, options) : learningRateAtProgress(update, progress, options);
  const inputs = { batch, update: updateValues(update, learningRate, options) };
  const { objective, metrics, gradientNorm } = await program.run(inputs);
  const report = {
    loss: mean(objective.data),
    metrics: mapValues(metrics, ({ data }) => mean(data)),
    gradientNorm: gradientNorm.data[0]!,
    learningRate,
  };
  const observed = observe(watch, report, lossLimit);
  if ("problem" in observed) throw await stopped(update, observed.problem, store, watch);
  return {
    step: update,
    watch: observed,
    memory: task.memory ? task.memory.after(memory, update, objective.data) : memory,
    images: objective.data.length,
    report,
  };
}

/** Where a run begins. */
interface Start extends Moment, Kept {
  readonly program: TrainingProgram;
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
  const begin = () => ({
    ...beginning(task, powerEma),
    task: task.memory?.initial ?? null,
    pace: undefined,
    best: undefined,
    falls: undefined,
  });
  const {
    step,
    watch,
    pace,
    best,
    falls,
    task: memory,
    config: _,
    ...state
  } = found?.checkpoint ?? { ...begin(), config };
  if (powerEma !== (state.averages !== undefined))
    throw new ModelError(
      `${path}: this run was started ${powerEma ? "without" : "with"} powerEma; resume in the same way, or train into a new folder`,
    );
  const graph = taskGraph(task, state.params, await task.batchAt(step + 1, memory), { ...options, powerEma });
  const program = await compileTraining(graph, backend, state);
  return { program, step, watch, pace, best, falls, memory, config, skipped: found?.skipped ?? [], path };
}

/** A run before its first update. */
function beginning({ weights: initial }: Pick<Task, "weights">, powerEma: boolean) {
  const weights = typeof initial === "function" ? initial() : initial;
  const zeros = mapValues(weights, ({ shape }) => float32(shape));
  const averages = powerEma && { averages: { short: weights, long: weights } };
  return { step: 0, watch: freshWatch, params: weights, m: zeros, v: zeros, ema: weights, ...averages };
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
