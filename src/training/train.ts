import { ModelError } from "../errors.ts";
import { float32 } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import type { CheckpointStore, JsonObject } from "./checkpoint.ts";
import { type ClassifierOptions, classifierTask } from "./classifier.ts";
import { compileTraining } from "./compile.ts";
import { type DenoiserOptions, denoiserTask } from "./denoiser.ts";
import type { TrainingEvent, Weights } from "./events.ts";
import { type LearningRateOptions, learningRateAt } from "./learning-rate.ts";
import { mapValues, type UpdateOptions, updateValues } from "./program.ts";
import { type ScoreOptions, scoreTask } from "./score.ts";
import type { Task } from "./task.ts";
import { freshWatch, observe } from "./watch.ts";

export interface TrainOptions extends LearningRateOptions, UpdateOptions {
  backend: Backend;
  /** Updates in all, those of a resumed run included. */
  steps: number;
  /** Where checkpoints go and a run is resumed from; nothing is kept without. */
  store?: CheckpointStore;
  checkpointEvery?: number;
  /** With `powerEma`: updates between the snapshots of its averages; by default a fortieth of all, and always the last. */
  snapshotEvery?: number;
  /** Steps between `samples` events; none by default. */
  samplesEvery?: number;
  /** Stops the run when the smoothed loss is this many times the first loss. */
  lossLimit?: number;
  /** Stored in checkpoints. Resuming a run that was started with another one is refused. */
  config?: JsonObject;
  /** Ends the run after the step that is under way, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * Trains: the loop. Goes on from the store's newest checkpoint where there is one.
 *
 * @throws RuntimeFailure where the loss or its gradient leaves the finite numbers, or explodes: nothing is saved from then on, and the
 *   message names the last good checkpoint. ModelError where the checkpoint belongs to a run with another `config`.
 */
export async function* train(
  task: Task,
  {
    backend,
    steps,
    store,
    checkpointEvery = 1000,
    samplesEvery,
    snapshotEvery = Math.max(1, Math.round(steps / 40)),
    lossLimit = 20,
    config = {},
    signal,
    ...options
  }: TrainOptions,
): AsyncGenerator<TrainingEvent, void, undefined> {
  const start = await open(task, backend, store, config, options.powerEma ?? false);
  await using program = start.program;
  let { step, watch, path: lastSaved } = start;
  let savedStep = lastSaved ? step : -1;
  let secondsPerStep: number | undefined;
  const save = async (): Promise<Weights> => {
    const now = await program.readState();
    lastSaved = await store?.save({ ...now, step, watch, task: task.remember?.() ?? null, config });
    savedStep = step;
    return now.ema;
  };
  yield { kind: "start", step, steps, ...(lastSaved ? { resumedFrom: lastSaved } : {}) };

  while (step < steps) {
    if (signal?.aborted) {
      if (store && step > savedStep) await save();
      yield { kind: "interrupted", step, ...(lastSaved ? { path: lastSaved } : {}) };
      return;
    }

    const began = performance.now();
    const update = step + 1;
    const learningRate = learningRateAt(update, steps, options);
    const batch = await task.batchAt(update);
    const { objective, metrics, gradientNorm } = await program.run({
      batch,
      update: updateValues(update, learningRate, options),
    });
    const loss = mean(objective.data);
    watch = observe(watch, { step: update, loss, gradientNorm: gradientNorm.data[0]! }, lossLimit, lastSaved);
    task.observe?.(objective.data);
    step = update;

    if (options.powerEma && store?.saveAverages && (step % snapshotEvery === 0 || step === steps))
      await store.saveAverages(step, (await program.readState()).averages!);

    const seconds = (performance.now() - began) / 1000;
    secondsPerStep = secondsPerStep === undefined ? seconds : 0.9 * secondsPerStep + 0.1 * seconds;
    yield {
      kind: "step",
      step,
      steps,
      loss,
      metrics: mapValues(metrics, ({ data }) => mean(data)),
      gradientNorm: gradientNorm.data[0]!,
      learningRate,
      imagesPerSecond: task.batchSize / secondsPerStep,
      secondsLeft: (steps - step) * secondsPerStep,
    };
    if (store && (step % checkpointEvery === 0 || step === steps)) {
      const averaged = await save();
      yield { kind: "checkpoint", step, path: lastSaved!, averaged };
    }
    if (samplesEvery && step % samplesEvery === 0)
      yield { kind: "samples", step, averaged: (await program.readState()).ema };
  }
  yield { kind: "done", step, averaged: (await program.readState()).ema };
}

/** The program with its state as the newest checkpoint has it, or as it begins. In memory, the state is the program's alone. */
async function open(
  task: Task,
  backend: Backend,
  store: CheckpointStore | undefined,
  config: JsonObject,
  powerEma: boolean,
) {
  const saved = await store?.latest();
  if (saved) {
    checkConfig(saved.checkpoint.config, config, saved.path);
    task.restore?.(saved.checkpoint.task);
  }
  const zeros = mapValues(task.weights, ({ shape }) => float32(shape));
  const weights = task.weights;
  const beginning = { step: 0, watch: freshWatch, params: weights, m: zeros, v: zeros, ema: weights };
  const { step, watch, ...state } = saved?.checkpoint ?? {
    ...beginning,
    ...(powerEma && { averages: { short: weights, long: weights } }),
  };
  if (saved && powerEma !== (state.averages !== undefined))
    throw new ModelError(
      `${saved.path}: this run was started ${powerEma ? "without" : "with"} powerEma; resume in the same way, or train into a new folder`,
    );
  const program = await compileTraining(task.graph(), backend, state);
  return { program, step, watch, path: saved?.path };
}

function checkConfig(before: JsonObject, now: JsonObject, path: string): void {
  const different = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]),
  );
  if (different.length === 0) return;
  const changes = different.map((key) => `${key} was ${JSON.stringify(before[key])}, now ${JSON.stringify(now[key])}`);
  throw new ModelError(
    `${path}: this run was started with other options: ${changes.join("; ")}. Resume with the same, or train into a new folder.`,
  );
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
