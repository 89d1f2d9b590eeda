import type { Dataset } from "../../data/dataset.ts";
import { describeNoise } from "../../diffusion/process-config.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { Backend } from "../../runtime/backend.ts";
import { duration } from "../terminal/progress.ts";
import type { ClassifierValues } from "./classifier.ts";
import type { DenoiserValues } from "./denoiser.ts";
import type { Job } from "./job.ts";

const count = (n: number): string => n.toLocaleString("en-US");

/** What will be trained, on what: a few lines. */
export function describeJob(
  network: NetworkRole,
  { parameters, process, microBatch }: Job,
  { path, train, classes, imageShape }: Dataset,
  { preset, steps, batchSize }: DenoiserValues | ClassifierValues,
): string {
  const [channels, height, width] = imageShape;
  const epochs = (steps * batchSize) / train.count;
  return [
    `data: ${count(train.count)} images ${width}x${height}, ${channels === 1 ? "grey" : "colour"}, ${classes.length} classes (${path})`,
    `${network}: preset ${preset}, ${count(parameters)} parameters; ${describeNoise(process)}`,
    `training: ${count(steps)} steps of ${batchSize} images (${microBatch} at a time), ${epochs.toPrecision(3)} times through the data`,
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
