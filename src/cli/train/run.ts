import { basename, join, resolve } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { existingRecord, recordToSave, saveModel } from "../../checkpoint/model-folder.ts";
import { checkpointFolder } from "../../checkpoint/run-folder.ts";
import type { ModelRecord } from "../../checkpoint/schema.ts";
import { type Dataset, requireClasses } from "../../data/dataset.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { accuracyTable } from "../../evaluation/accuracy.ts";
import { writeFiles } from "../../files/atomic.ts";
import { lockFolder } from "../../files/lock.ts";
import type { NetworkRole } from "../../models/family.ts";
import { choiceProblem } from "../../recipes/network.ts";
import { openBackend } from "../../runtime/node.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import type { TrainingEvent, Weights } from "../../training/events.ts";
import { accuracyFiles, measureAccuracy } from "../evaluate/accuracy.ts";
import type { Action, Context } from "../terminal/command.ts";
import { Interrupted } from "../terminal/errors.ts";
import { checkOutputFolder } from "../terminal/output.ts";
import { duration, progress } from "../terminal/progress.ts";
import type { ClassifierValues } from "./classifier.ts";
import { fingerprintOf, openTrainingData } from "./data.ts";
import type { DenoiserValues } from "./denoiser.ts";
import { describeJob, estimate } from "./dry-run.ts";
import { classifierJob, denoiserJob, type Job } from "./job.ts";
import { type MetricsFile, openMetrics } from "./metrics.ts";
import { writeSheet } from "./sheet.ts";
import {
  checkSameData,
  mayChange,
  resumedValues,
  storedOptions,
  trainingRecord,
  upgradeOptions,
} from "./stored-options.ts";

/** Images on which a trained classifier is measured: accuracies to about 1.5 percent. */
const reportImages = 1000;

/** `guidestar train denoiser`. */
export const runDenoiser: Action<DenoiserValues> = (values, context) => run("denoiser", values, context, denoiserJob);

/** `guidestar train classifier`. */
export const runClassifier: Action<ClassifierValues> = (values, context) =>
  run("classifier", values, context, classifierJob);

/** Options to one call of the loop, and its events to files and lines. */
async function run<V extends DenoiserValues | ClassifierValues>(
  network: NetworkRole,
  asked: V,
  { terminal, signal, given }: Context,
  jobOf: (values: V, dataset: Dataset, existing: ModelRecord | undefined) => Job,
): Promise<void> {
  const { out } = asked;
  await checkOutputFolder("--out", out);
  await using _lock = asked.dryRun ? undefined : await lockFolder(out);
  const store = checkpointFolder(join(out, "checkpoints", network), { upgradeConfig: upgradeOptions });
  const existing = await existingRecord(out);
  const saved = await store.latest();
  if (!asked.resume && (saved || existing?.[network]))
    throw new UsageError(
      `${out} already holds a ${network}${saved ? `, trained for ${saved.step} steps: go on with --resume, or` : ";"} choose another --out`,
    );
  if (asked.resume && !saved && (existing?.[network] || asked.data === undefined))
    throw new ModelError(
      `${out}: there is no checkpoint of a ${network} to go on from; leave out --resume and give --data to begin`,
    );
  const values = saved ? resumedValues(asked, given, saved.config) : asked;

  const shown = progress(terminal);
  const problem = choiceProblem(network, values);
  if (problem) throw new UsageError(`--${problem}`);
  const dataset = await openTrainingData(values, existing, shown, signal);
  if (network === "classifier") requireClasses(dataset, 2);
  const fingerprint = fingerprintOf(dataset);
  if (saved) checkSameData(dataset.path, fingerprint, saved.config);
  const job = jobOf(values, dataset, existing);
  // What could not be saved is said now, not after the first hour.
  await recordToSave(out, job.model({}, {}));

  await using backend = await openBackend({
    device: values.device,
    ...(values.threads && { threads: values.threads }),
  });
  const description = describeJob(network, job, dataset, values);
  if (values.dryRun) return terminal.out(`${description}\n${await estimate(job, values, backend, signal)}\n`);
  shown.say(description);

  const config: JsonObject = { ...storedOptions({ ...values, data: resolve(dataset.path) }), fingerprint };
  let metrics: MetricsFile;
  const save = async (step: number, averaged: Weights): Promise<Model> => {
    const record = {
      ...trainingRecord(config),
      data: basename(dataset.path),
      images: dataset.train.count,
      step,
      metrics: metrics.recent(),
    };
    const model = await saveModel(out, job.model(averaged, record), { storage: values.storage });
    return { ...model, source: out, weights: { [network]: averaged } };
  };
  const drawn = new Set<number>();
  const draw = async (step: number, model: Model): Promise<void> => {
    if (network !== "denoiser" || drawn.has(step)) return;
    const path = join(out, "samples", `step-${String(step).padStart(8, "0")}.png`);
    try {
      await writeSheet(path, model, backend, signal);
    } catch (error) {
      // The loop sees the signal too, and ends the run with a checkpoint.
      if (signal.aborted) return;
      throw error;
    }
    drawn.add(step);
    shown.say(`samples: ${path}`);
  };

  /** Is the classifier good enough? Its accuracy by timestep, as a table here, and as files. */
  const report = async (model: Model): Promise<void> => {
    const split = dataset.test ?? dataset.train;
    const rows = await measureAccuracy(model, split, { backend, signal, shown, count: reportImages });
    const classes = model.classes.length;
    const title = `Noisy classifier of ${basename(out)}, on ${dataset.test ? "test" : "its training"} images`;
    await writeFiles(accuracyFiles(out, rows, { title, classes }));
    shown.say(`${title}\n${accuracyTable(rows, classes)}`);
  };

  const follow = async (event: TrainingEvent): Promise<void> => {
    switch (event.kind) {
      case "start":
        metrics = await openMetrics(join(out, "metrics.jsonl"), network, event.step);
        if (event.resumedFrom) shown.say(`going on from step ${event.step}: ${event.resumedFrom}`);
        break;
      case "step":
        await metrics.add(event);
        shown.update(event.step, event.steps, stepLine(event, metrics.recent()));
        break;
      case "checkpoint":
        await save(event.step, event.averaged);
        break;
      case "samples":
        await draw(event.step, await save(event.step, event.averaged));
        break;
      case "interrupted": {
        if (event.path !== undefined) await save(event.step, event.averaged);
        shown.end();
        throw new Interrupted(
          `stopped after step ${event.step}; to go on: guidestar train ${network} --out ${quoted(out)} --resume`,
        );
      }
      case "done": {
        const model = await save(event.step, event.averaged);
        await draw(event.step, model);
        shown.end();
        if (network === "classifier") await report(model);
        terminal.out(`${out}\n`);
      }
    }
  };

  const events = job.start({
    backend,
    steps: values.steps,
    store,
    checkpointEvery: values.checkpointEvery,
    ...("sampleEvery" in values && { sampleEvery: values.sampleEvery }),
    config,
    mayChange,
    signal,
  });
  for await (const event of events) await follow(event);
}

/** A word of a shell's command line. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** A step in a line: "321 images/s  12 min left  loss 0.1234". */
function stepLine(
  { imagesPerSecond, secondsLeft }: Extract<TrainingEvent, { kind: "step" }>,
  metrics: Readonly<Record<string, number>>,
): string {
  const means = Object.entries(metrics).map(([name, value]) => `${name} ${value.toPrecision(4)}`);
  return [`${imagesPerSecond.toPrecision(3)} images/s`, `${duration(secondsLeft)} left`, ...means].join("  ");
}
