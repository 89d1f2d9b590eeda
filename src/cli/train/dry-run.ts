import { counted } from "../../counted.ts";
import type { Dataset } from "../../data/dataset.ts";
import { describeLabels } from "../../data/report.ts";
import { describeNoise } from "../../diffusion/process-config.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { Backend } from "../../runtime/backend.ts";
import { duration } from "../terminal/progress.ts";
import type { ClassifierValues } from "./classifier.ts";
import type { DenoiserValues } from "./denoiser.ts";
import type { Job } from "./job.ts";

const count = (n: number): string => n.toLocaleString("en-US");

/** Above this many times through the data, a network mostly learns the images by heart. */
const manyEpochs = 1000;

/** "0.35 times", "80,000 times". */
const timesThrough = (epochs: number): string =>
  `${Number(epochs.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 3 })} times`;

/** What to do where a network sees each of a few images very often. */
const adviceForFew = (epochs: number, images: number, steps: number): string =>
  `warning: ${timesThrough(epochs)} through ${counted(images, "image")} is much: the network will learn them by heart and draw copies. ` +
  `More images are better, --flip and --crop make more of those that there are, and --steps ${Math.max(1, Math.round((steps * manyEpochs) / epochs))} would be ${manyEpochs} times`;

/** What will be trained, on what: a few lines. */
export function describeJob(
  network: NetworkRole,
  { parameters, process, microBatch }: Job,
  dataset: Dataset,
  { preset, steps, batchSize }: DenoiserValues | ClassifierValues,
): string {
  const { path, train, classes, imageShape } = dataset;
  const [channels, height, width] = imageShape;
  const known = classes.length > 0 ? `${counted(classes.length, "class", "classes")}, ` : "";
  const epochs = (steps * batchSize) / train.count;
  const often = epochs > manyEpochs ? `\n${adviceForFew(epochs, train.count, steps)}` : "";
  return [
    `data: ${counted(train.count, "image")} ${width}x${height}, ${channels === 1 ? "grey" : "colour"}, ${known}${describeLabels(dataset)} (${path})`,
    `${network}: preset ${preset}, ${count(parameters)} parameters; ${describeNoise(process)}`,
    `training: ${count(steps)} steps of ${batchSize} images (${microBatch} at a time), ${timesThrough(epochs)} through the data${often}`,
  ].join("\n");
}

/** Steps to time: the first is slower, for memory is fresh. */
const timedSteps = 4;

/** Trains a few steps, keeps nothing, and says how long all of them will take. */
export async function estimate(
  job: Job,
  { steps, batchSize }: DenoiserValues | ClassifierValues,
  backend: Backend,
  signal: AbortSignal,
): Promise<string> {
  const began: number[] = [];
  for await (const event of job.start({ backend, steps: timedSteps, warmUpSteps: 0, signal }))
    if (event.kind === "step") began.push(performance.now());
  signal.throwIfAborted();
  const fastest = Math.min(...began.slice(1).map((time, i) => time - began[i]!)) / 1000;
  return `time: about ${duration(fastest * steps)} (${(batchSize / fastest).toPrecision(3)} images/s)`;
}
