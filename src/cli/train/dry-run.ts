import { availableParallelism } from "node:os";
import { counted } from "../../counted.ts";
import type { Dataset } from "../../data/dataset.ts";
import { describeBackground, describeLabels } from "../../data/report.ts";
import { describeNoise } from "../../diffusion/process-config.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { Backend } from "../../runtime/backend.ts";
import { duration, type Progress } from "../terminal/progress.ts";
import type { ClassifierValues } from "./classifier.ts";
import type { DenoiserValues } from "./denoiser.ts";
import { describeTransfer } from "./from.ts";
import type { Job } from "./job.ts";

const count = (n: number): string => n.toLocaleString("en-US");

/** Above this many times through the data, a network mostly learns the images by heart. */
const manyEpochs = 1000;

/** "0.35 times", "1 time", "80,000 times". */
const timesThrough = (epochs: number): string => counted(Number(epochs.toPrecision(3)), "time");

/** What to do where a network sees each of a few images very often. */
const adviceForFew = (epochs: number, images: number, steps: number): string =>
  `warning: ${timesThrough(epochs)} through ${counted(images, "image")} is much: a network learns them by heart, and a denoiser then draws copies. ` +
  `More images are better, --flip and --crop make more of those that there are, and --steps ${Math.max(1, Math.round((steps * manyEpochs) / epochs))} would be ${manyEpochs} times`;

/** What will be trained, on what: a few lines. */
export function describeJob(
  network: NetworkRole,
  { parameters, process, microBatch, transfer }: Job,
  dataset: Dataset,
  { from, preset, steps, batchSize }: DenoiserValues | ClassifierValues,
): string {
  const { path, train, classes, imageShape } = dataset;
  const [channels, height, width] = imageShape;
  const known = classes.length > 0 ? `${counted(classes.length, "class", "classes")}, ` : "";
  const epochs = (steps * batchSize) / train.count;
  const behind = describeBackground(dataset);
  const often = epochs > manyEpochs ? `\n${adviceForFew(epochs, train.count, steps)}` : "";
  return [
    `data: ${counted(train.count, "image")} ${width}x${height}, ${channels === 1 ? "grey" : "colour"}, ${known}${describeLabels(dataset)}${behind === undefined ? "" : `, ${behind}`} (${path})`,
    `${network}: ${preset === undefined ? `as in ${from}` : `preset ${preset}`}, ${count(parameters)} parameters; ${describeNoise(process)}`,
    ...(transfer ? [describeTransfer(transfer, from!)] : []),
    `training: ${counted(steps, "step")} of ${counted(batchSize, "image")} (${microBatch} at a time), ${timesThrough(epochs)} through the data${often}`,
  ].join("\n");
}

/** Steps to time: the first is slower, for memory is fresh. Where one takes longer than `patience`, in seconds, it is enough. */
const timedSteps = 4;
const patience = 15;

/** Operations per second of a core in training: roughly. */
const speed = 15e9;

/** What the timing will take, by the cost of a step, before there is anything to measure. */
function earlyWord(
  job: Job,
  { batchSize, threads = availableParallelism() }: DenoiserValues | ClassifierValues,
): string {
  const seconds = (job.flops() * batchSize) / (speed * threads);
  const word = `timing ${counted(timedSteps, "step")}, or the first if it is slow`;
  return seconds < patience / 3
    ? word
    : `${word}: by its cost, a step of ${batchSize} such images takes very roughly ${duration(seconds)}; a smaller --size, --preset or --batch-size makes it less`;
}

/** Trains a few steps, keeps nothing, and says how long all of them will take. */
export async function estimate(
  job: Job,
  values: DenoiserValues | ClassifierValues,
  backend: Backend,
  shown: Progress,
  signal: AbortSignal,
): Promise<string> {
  const { steps, batchSize } = values;
  shown.say(earlyWord(job, values));
  const times = [performance.now()];
  for await (const event of job.start({ backend, steps: timedSteps, warmUpSteps: 0, signal })) {
    if (event.kind !== "step") continue;
    times.push(performance.now());
    shown.update(event.step, timedSteps, "steps timed");
    if (times.length === 2 && times[1]! - times[0]! > 1000 * patience) break;
  }
  signal.throwIfAborted();
  shown.end();
  const [first, ...others] = times.slice(1).map((time, i) => (time - times[i]!) / 1000);
  // The first step makes the program too, so alone it is an upper bound.
  const fastest = Math.min(...(others.length > 0 ? others : [first!]));
  const about = others.length > 0 ? "about" : "at most about";
  return `time: ${about} ${duration(fastest * steps)} (${(batchSize / fastest).toPrecision(3)} images/s)`;
}
