import { basename, join } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { loadModel, recordToSave, saveModel } from "../../checkpoint/model-folder.ts";
import { counted } from "../../counted.ts";
import type { Split } from "../../data/content.ts";
import type { Dataset } from "../../data/dataset.ts";
import { RuntimeFailure } from "../../errors.ts";
import { accuracyTable } from "../../evaluation/accuracy.ts";
import { writeFiles } from "../../files/atomic.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { Backend } from "../../runtime/backend.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import type { TrainingEvent, Weights } from "../../training/events.ts";
import { accuracyFiles, measureAccuracy } from "../evaluate/accuracy.ts";
import type { Terminal } from "../terminal/command.ts";
import { Interrupted } from "../terminal/errors.ts";
import { duration, type Progress } from "../terminal/progress.ts";
import { copyWatch } from "./copies.ts";
import type { Job } from "./job.ts";
import { type Keeper, keeper } from "./keeper.ts";
import { type MetricsFile, openMetrics } from "./metrics.ts";
import { writeSheet } from "./sheet.ts";
import { trainingRecord } from "./stored-options.ts";

/** Images on which a trained classifier is measured: accuracies to about 1.5 percent. */
const reportImages = 1000;

/** What is trained, and where its files and lines go. */
export interface Outputs {
  readonly network: NetworkRole;
  readonly out: string;
  readonly storage: "float32" | "float16";
  /** Which weights the folder keeps where images are held out; `best` by default. */
  readonly keep?: "best" | "last";
  /** What it is trained on; of students, which learn from a teacher, none. */
  readonly dataset?: Dataset;
  /** Real images that tell what a copy is; without them, or with a few that were held out alone, training images beside each other do. */
  readonly test?: Split | undefined;
  readonly job: Pick<Job, "model">;
  /** The command that goes on after Ctrl-C; by default that of `train`. */
  readonly again?: string;
  readonly backend: Backend;
  readonly terminal: Terminal;
  readonly shown: Progress;
  readonly signal: AbortSignal;
  /** Name of the detector by which samples are compared with training images, beside pixels. */
  readonly detector?: string | undefined;
  /** The command that makes a detector of the images; undefined where there is one that fits them. */
  readonly measure?: () => Promise<string | undefined>;
  /** Ends the run, with a checkpoint, where samples copy training images; undefined where that is only said. */
  readonly stopCopying?: AbortController | undefined;
}

/** Follows a training: its events become metrics, models, sheets and lines. Throws Interrupted where it was stopped. */
export async function follow(events: AsyncIterable<TrainingEvent>, outputs: Outputs): Promise<void> {
  const { network, out, shown, dataset, test } = outputs;
  await using copies = await copyWatch(dataset && { train: dataset.train, test }, outputs.detector, out, outputs);
  let metrics: MetricsFile;
  let config: JsonObject = {};
  let kept = keeper(outputs.keep ?? "best", undefined);
  let began = 0;
  let made: { readonly step: number; readonly model: Model } | undefined;
  // What falls on one step saves its model once and draws its sheet once; between steps no weights are kept.
  const save = async (step: number, averaged: Weights): Promise<Model> => {
    if (made?.step !== step) {
      const record = { ...trainingRecord(config), step, metrics: metrics.recent() };
      made = { step, model: await (kept.keeps(step) ? saveNetwork : networkInMemory)(outputs, averaged, record) };
    }
    return made.model;
  };
  let sheet: number | undefined;
  const draw = async (step: number, averaged: Weights): Promise<void> => {
    const model = await save(step, averaged);
    if (sheet === step || network !== "denoiser") return;
    sheet = step;
    await drawSheet(outputs, copies, step, model);
  };

  for await (const event of events)
    switch (event.kind) {
      case "start":
        metrics = await openMetrics(join(out, "metrics.jsonl"), network, event.step, shown.say);
        for (const { problem } of event.skipped ?? []) shown.say(`${problem}; going back to the one before`);
        if (event.resumedFrom) shown.say(`going on from step ${event.step}: ${event.resumedFrom}`);
        config = event.config;
        kept = keeper(outputs.keep ?? "best", event.best);
        began = event.step;
        break;
      case "step":
        made = undefined;
        await metrics!.add(event);
        if (event.step === began + speedKnown) shown.say(expectation(event));
        shown.update(event.step, event.steps, stepLine(event, metrics!.recent()));
        break;
      case "checkpoint":
        if (event.heldOut !== undefined) {
          await metrics!.addHeldOut(event.step, event.heldOut);
          for (const line of kept.note({ ...event, heldOut: event.heldOut, best: event.best! })) shown.say(line);
        }
        await save(event.step, event.averaged);
        break;
      case "samples":
        await draw(event.step, event.averaged);
        break;
      case "interrupted":
        await save(event.step, event.averaged);
        shown.end();
        endStopped(outputs, kept, event.step);
        break;
      case "done":
        await finish(outputs, kept, event.step, () => draw(event.step, event.averaged));
    }
}

/** Says why a run ended before its last step. Throws Interrupted unless it was to end where samples are copies. */
function endStopped(outputs: Outputs, kept: Keeper, step: number): void {
  const { network, out, terminal, shown, signal, again, stopCopying } = outputs;
  const command = again ?? goOn(`train ${network}`, out);
  if (signal.aborted || !stopCopying?.signal.aborted)
    throw new Interrupted(`stopped after step ${step}; to go on: ${command}`);
  shown.say(
    `stopped after step ${step}, for the samples copy training images; ${kept.inPlaceOf(step) ?? `the model of this step is in ${out}`}. To go on all the same: ${command} --no-stop-when-copying`,
  );
  terminal.out(`${out}\n`);
}

/** The end of a run: its sheet, what the folder holds, of a classifier how good it is, and of a denoiser how that can be measured. */
async function finish(outputs: Outputs, kept: Keeper, step: number, draw: () => Promise<void>): Promise<void> {
  const { network, out, shown, terminal, measure } = outputs;
  await draw();
  shown.end();
  const why = kept.inPlaceOf(step);
  if (why !== undefined) shown.say(why);
  if (network === "classifier") await report(outputs, await loadModel(out));
  const command = network === "denoiser" ? await measure?.() : undefined;
  if (command !== undefined)
    shown.say(`to measure the model by evaluate and sweep, train a detector of its images: ${command}`);
  terminal.out(`${out}\n`);
}

type TrainingRecord = JsonObject & { readonly step: number; readonly metrics: JsonObject };

/** What is saved of these weights. */
function toSave({ dataset, job }: Outputs, averaged: Weights, { step, metrics, ...options }: TrainingRecord) {
  const data = dataset ? { data: basename(dataset.path), images: dataset.train.count } : {};
  return job.model(averaged, { ...options, ...data, step, metrics });
}

/** The folder's model with these weights, saved. */
async function saveNetwork(outputs: Outputs, averaged: Weights, record: TrainingRecord): Promise<Model> {
  const { network, out, storage } = outputs;
  const model = await saveModel(out, toSave(outputs, averaged, record), { storage });
  return { ...model, source: out, weights: { [network]: averaged } };
}

/** The same in memory alone: the folder keeps what it holds. */
async function networkInMemory(outputs: Outputs, averaged: Weights, record: TrainingRecord): Promise<Model> {
  const { network, out } = outputs;
  const recordWith = await recordToSave(out, toSave(outputs, averaged, record));
  const model = recordWith((name) => ({ file: `${name}.safetensors`, sha256: "0".repeat(64), parameters: 1 }));
  return { ...model, source: out, weights: { [network]: averaged } };
}

/** Draws a sheet, and looks whether it copies training images. */
async function drawSheet(
  outputs: Outputs,
  copies: Awaited<ReturnType<typeof copyWatch>>,
  step: number,
  model: Model,
): Promise<void> {
  const { out, backend, shown, signal, stopCopying } = outputs;
  const path = join(out, "samples", `step-${String(step).padStart(8, "0")}.png`);
  const drawn = await aside(outputs, path, writeSheet(path, model, backend, signal));
  if (!drawn) return;
  shown.say(`samples: ${path}`);
  if (await aside(outputs, join(out, "pairs.png"), copies.look(drawn))) stopCopying?.abort();
}

/**
 * What drawing beside the training gives; undefined where the signal ended it, which the loop sees too, and where it cannot be done, for the
 * pictures are not finite (of weights that a run with too high a rate had for a while) or the disk is full: that is said and the run goes on,
 * for hours of work don't hang on a sheet.
 */
async function aside<T>({ shown, signal }: Outputs, path: string, drawing: Promise<T>): Promise<T | undefined> {
  try {
    return await drawing;
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!(error instanceof RuntimeFailure || (error instanceof Error && "errno" in error))) throw error;
    shown.say(`${path}: not drawn: ${error.message}; training goes on`);
    return undefined;
  }
}

/** Is the classifier good enough? Its accuracy by timestep, as a table here, and as files. */
async function report({ out, dataset, backend, signal, shown }: Outputs, model: Model): Promise<void> {
  if (!dataset) return;
  const split = dataset.test ?? dataset.train;
  const rows = await measureAccuracy(model, split, { backend, signal, shown, count: reportImages });
  const classes = model.classes.length;
  const heldOut = model.classifier!.training?.heldOut ? "held-out" : "test";
  const title = `Noisy classifier of ${basename(out)}, on ${dataset.test ? heldOut : "its training"} images`;
  await writeFiles(accuracyFiles(out, rows, { title, classes }));
  shown.say(`${title}\n${accuracyTable(rows, classes)}`);
}

/** A word of a shell's command line. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Steps after which the speed is known well enough to say how long the run will take. */
const speedKnown = 20;

/** How long the run will take, by the speed so far. */
const expectation = ({ step, steps, secondsLeft, imagesPerSecond }: Extract<TrainingEvent, { kind: "step" }>): string =>
  `by the speed so far (${imagesPerSecond.toPrecision(3)} images/s): ${duration(secondsLeft)} for ${counted(steps - step, "step")} to come`;

/** A step in a line: "321 images/s  12 min left  loss 0.1234". */
export function stepLine(
  { imagesPerSecond, secondsLeft }: Extract<TrainingEvent, { kind: "step" }>,
  metrics: Readonly<Record<string, number>>,
): string {
  const means = Object.entries(metrics).map(([name, value]) => `${name} ${value.toPrecision(4)}`);
  return [`${imagesPerSecond.toPrecision(3)} images/s`, `${duration(secondsLeft)} left`, ...means].join("  ");
}

/** The command line that goes on with a run. */
export const goOn = (command: string, out: string): string => `guidestar ${command} --out ${quoted(out)} --resume`;
