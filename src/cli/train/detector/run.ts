import { basename, join, resolve } from "node:path";
import { findDetector, saveDetector } from "../../../checkpoint/detector-folder.ts";
import { existingRecord } from "../../../checkpoint/model-folder.ts";
import { checkpointFolder } from "../../../checkpoint/run-folder.ts";
import { counted } from "../../../counted.ts";
import { gather } from "../../../data/batches.ts";
import type { Split } from "../../../data/content.ts";
import { type Dataset, requireClasses } from "../../../data/dataset.ts";
import { describeBackground, describeCount, describeLabels } from "../../../data/report.ts";
import { type LabelledBatch, lookAtData } from "../../../evaluation/detectors/look.ts";
import { lockFolder } from "../../../files/lock.ts";
import { countParameters } from "../../../nn/module.ts";
import { type DetectorRecipe, detectorPreset, detectorRecipe } from "../../../recipes/detector.ts";
import type { Backend } from "../../../runtime/backend.ts";
import { openBackend } from "../../../runtime/node.ts";
import type { JsonObject } from "../../../training/checkpoint.ts";
import type { TrainingEvent, Weights } from "../../../training/events.ts";
import { train } from "../../../training/train.ts";
import type { Context } from "../../terminal/command.ts";
import { Interrupted } from "../../terminal/errors.ts";
import { checkOutputFolder } from "../../terminal/output.ts";
import { duration, type Progress, progress } from "../../terminal/progress.ts";
import { fingerprintOf, openTrainingData } from "../data.ts";
import { checkpointToGoOn, throwWithAWayOn } from "../going-on.ts";
import { openMetrics } from "../metrics.ts";
import { goOn, stepLine } from "../outputs.ts";
import { checkSameData, mayChange, resumedValues, storedOptions, trainingRecord } from "../stored-options.ts";
import type { DetectorValues } from "./command.ts";

interface Work {
  readonly recipe: DetectorRecipe;
  readonly dataset: Dataset;
  readonly backend: Backend;
  readonly shown: Progress;
  readonly signal: AbortSignal;
}

/** `guidestar train detector`. */
export async function runDetector(asked: DetectorValues, { terminal, signal, given }: Context): Promise<void> {
  const { out } = asked;
  await checkOutputFolder("--out", out);
  await using _lock = asked.dryRun ? undefined : await lockFolder(out);
  const store = checkpointFolder(join(out, "checkpoints", "detector"));
  const saved = await checkpointToGoOn(store, asked, {
    what: "detector",
    there: findDetector(out) && "detector",
    missing: asked.data === undefined ? "--data DIR" : undefined,
  });
  const values = saved ? resumedValues(asked, given, saved.config) : asked;

  const shown = progress(terminal);
  const joined = await existingRecord(out);
  const dataset = await openTrainingData(values, saved !== undefined && !given.has("data"), joined, shown, signal);
  requireClasses(dataset, 2);
  const fingerprint = fingerprintOf(dataset);
  if (saved) checkSameData(dataset.path, fingerprint, saved.config);
  const recipe = detectorRecipe({ ...optionsOf(values), dataset });
  const preset = values.preset ?? detectorPreset(recipe.train.count);
  shown.say(describe(recipe, dataset, preset));
  const { device, threads } = values;
  await using backend = await openBackend({ device, ...(threads && { threads }) });
  const work = { recipe, dataset, backend, shown, signal };
  if (values.dryRun) return terminal.out(`${await estimate(work)}\n`);

  const { steps } = recipe.training;
  const { path } = dataset;
  const config: JsonObject = { ...storedOptions({ ...values, preset, steps, data: resolve(path) }), fingerprint };
  const { checkpointEvery, checkpointMinutes } = values;
  const events = train(recipe.task, {
    ...recipe.training,
    ...{ backend, store, checkpointEvery, checkpointMinutes, config, mayChange, signal },
    ...(asked.fromStep !== undefined && { fromStep: asked.fromStep }),
  });
  const again = goOn("train detector", out);
  await follow(events, { ...work, out, config, again }).catch((error) => throwWithAWayOn(error, again, values, store));
  terminal.out(`${out}\n`);
}

/** Follows a training: its events become metrics and lines, and at its end the detector. Throws Interrupted where it was stopped. */
async function follow(
  events: AsyncIterable<TrainingEvent>,
  { out, config, again, ...work }: Work & { readonly out: string; readonly config: JsonObject; readonly again: string },
): Promise<void> {
  const { shown } = work;
  let metrics: Awaited<ReturnType<typeof openMetrics>>;
  let started = config;
  for await (const event of events)
    switch (event.kind) {
      case "start":
        metrics = await openMetrics(join(out, "metrics.jsonl"), "detector", event.step, shown.say);
        for (const { problem } of event.skipped ?? []) shown.say(`${problem}; going back to the one before`);
        if (event.resumedFrom) shown.say(`going on from step ${event.step}: ${event.resumedFrom}`);
        started = event.config;
        break;
      case "step":
        await metrics!.add(event);
        shown.update(event.step, event.steps, stepLine(event, metrics!.recent()));
        break;
      case "interrupted":
        shown.end();
        throw new Interrupted(`stopped after step ${event.step}; to go on: ${again}`);
      case "done": {
        shown.end();
        const training = { ...trainingRecord(started), step: event.step, metrics: metrics!.recent() };
        shown.say(await save(out, event.averaged, training, work));
      }
    }
}

/** The options that the recipe takes, without those that are left open. */
function optionsOf(values: DetectorValues) {
  const { preset, steps, batchSize, microBatch, seed, learningRate, warmUpSteps, decay } = values;
  const { maxGradientNorm, weightDecay, emaRate, flip, crop } = values;
  return {
    ...{ preset, steps, batchSize, seed, learningRate, decay, maxGradientNorm, weightDecay, emaRate, flip, crop },
    ...(microBatch !== undefined && { microBatch }),
    ...(warmUpSteps !== undefined && { warmUpSteps }),
  };
}

/** What will be trained, on what: a few lines. */
function describe(recipe: DetectorRecipe, dataset: Dataset, preset: string): string {
  const { network, train, what, training, batchSize, flip, crop } = recipe;
  const { path, classes, imageShape } = dataset;
  const behind = describeBackground(dataset);
  const [channels, height, width] = imageShape;
  const often = Number(((training.steps * batchSize) / train.count).toPrecision(3));
  return [
    `data: ${describeCount(dataset.train.count, classes)}, ${width}x${height}, ${channels === 1 ? "grey" : "colour"}, ${describeLabels(dataset)}${behind === undefined ? "" : `, ${behind}`} (${path})`,
    `detector: preset ${preset}, ${countParameters(network).toLocaleString("en-US")} parameters; tested on ${what}`,
    `training: ${counted(training.steps, "step")} of ${counted(batchSize, "image")}, ${counted(often, "time")} through ${counted(train.count, "image")}, shifted by up to ${counted(crop, "pixel")}${flip ? ", half of them mirrored" : ""}`,
  ].join("\n");
}

const timed = 6;

/** Trains a few steps, keeps nothing, and says how long all of them will take. */
async function estimate({ recipe, backend, shown, signal }: Work): Promise<string> {
  const { steps } = recipe.training;
  const times = [performance.now()];
  for await (const event of train(recipe.task, { ...recipe.training, steps: timed, warmUpSteps: 0, backend, signal })) {
    if (event.kind !== "step") continue;
    times.push(performance.now());
    shown.update(event.step, timed, "steps timed");
  }
  signal.throwIfAborted();
  shown.end();
  const fastest = Math.min(...times.slice(2).map((time, i) => (time - times[i + 1]!) / 1000));
  return `time: about ${duration(fastest * steps)} (${(recipe.batchSize / fastest).toPrecision(3)} images/s)`;
}

const together = 250;

/** Images of a split in batches, shown on the way. */
function* batches(split: Split, noun: string, { shown }: Work): Generator<LabelledBatch> {
  for (let start = 0; start < split.count; start += together) {
    const length = Math.min(together, split.count - start);
    yield gather(
      split,
      Array.from({ length }, (_, i) => start + i),
    );
    shown.update(start + length, split.count, noun);
  }
  shown.end();
}

/** Writes the detector, with what it sees in the data. Resolves to how well it reads images that it was not trained on. */
async function save(out: string, weights: Weights, training: JsonObject, work: Work): Promise<string> {
  const { recipe, dataset, backend, signal } = work;
  const { network, description, train, heldOut, what, data } = recipe;
  const { accuracy, ...seen } = await lookAtData({
    network,
    weights,
    imageShape: dataset.imageShape,
    reference: { batches: batches(train, "images seen", work), count: train.count },
    heldOut: { batches: batches(heldOut, "held-out images read", work), count: heldOut.count },
    backend,
    signal,
  });
  const images = train.count;
  const name = `${images} images of ${basename(dataset.path)}`;
  await saveDetector(out, {
    ...seen,
    record: {
      ...data,
      accuracy: { ...accuracy, of: what },
      reference: { name, images, apart: true },
      network: description,
      training: { ...training, data: basename(dataset.path), images },
    },
  });
  const percent = (share: number): string => (100 * share).toFixed(1);
  return `accuracy on ${what}: ${percent(accuracy.value)}% ± ${percent(accuracy.error)}%; guessing gives ${percent(1 / data.classes.length)}%`;
}
