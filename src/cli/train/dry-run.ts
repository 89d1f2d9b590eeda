import { availableParallelism } from "node:os";
import { counted } from "../../counted.ts";
import { describeBackground, describeLabels } from "../../data/report.ts";
import { describeNoise } from "../../diffusion/process-config.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { SettledOptions } from "../../recipes/recipe.ts";
import type { Backend } from "../../runtime/backend.ts";
import { flagOf } from "../terminal/option.ts";
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
  { parameters, process, microBatch, transfer, settled, dataset }: Job,
  values: DenoiserValues | ClassifierValues,
): string {
  const { path, train, classes, imageShape } = dataset;
  const { preset } = settled;
  const [channels, height, width] = imageShape;
  const known = classes.length > 0 ? `${counted(classes.length, "class", "classes")}, ` : "";
  const behind = describeBackground(dataset);
  const chosen = describeChoices(settled, values);
  return [
    `data: ${counted(train.count, "image")} ${width}x${height}, ${channels === 1 ? "grey" : "colour"}, ${known}${describeLabels(dataset)}${behind === undefined ? "" : `, ${behind}`} (${path})`,
    ...(chosen === undefined ? [] : [`chosen for such images: ${chosen}`]),
    ...(settled.heldOut === 0
      ? []
      : [
          `held out: ${counted(dataset.test!.count, "image")}, chosen by their content: never trained on, but measured at each checkpoint; --held-out 0 trains on all`,
        ]),
    `${network}: ${preset === undefined ? `as in ${values.from}` : `preset ${preset}`}, ${count(parameters)} parameters; ${describeNoise(process)}`,
    ...(transfer ? [describeTransfer(transfer, values.from!)] : []),
    describeLength(settled, {
      microBatch,
      until: "until" in values ? values.until : undefined,
      images: train.count,
    }),
  ].join("\n");
}

/** What nobody asked for, as the options that would ask for it; undefined where that is nothing. */
function describeChoices(
  { warmUpSteps: _, ...settled }: SettledOptions,
  values: DenoiserValues | ClassifierValues,
): string | undefined {
  const open = Object.entries(settled).filter(
    ([key, value]) => value !== undefined && value !== 0 && values[key as keyof typeof settled] === undefined,
  );
  return open.length === 0 ? undefined : open.map(([key, value]) => `${flagOf(key)} ${value}`).join(" ");
}

/** How long the training is, and how often it sees each image. */
function describeLength(
  { steps, minutes, batchSize }: SettledOptions,
  { microBatch, until, images }: { microBatch: number; until: string | undefined; images: number },
): string {
  const each = `of ${counted(batchSize, "image")} (${microBatch} at a time)`;
  const time = minutes === undefined ? [] : [`${until ? "until it is good, at most " : ""}${duration(60 * minutes)}`];
  if (steps === undefined) return `training: ${time[0]}, in steps ${each}`;
  const epochs = (steps * batchSize) / images;
  const often = epochs > manyEpochs ? `\n${adviceForFew(epochs, images, steps)}` : "";
  const length = [...time, counted(steps, "step")].join(", at most ");
  return `training: ${length} ${each}, ${timesThrough(epochs)} through the data${often}`;
}

/** Steps to time: the first is slower, for memory is fresh. Where one takes longer than `patience`, in seconds, it is enough. */
const timedSteps = 4;
const patience = 15;

/** Operations per second of a core in training: roughly. */
const speed = 15e9;

/** What a slow step will take, by its cost, before there is anything to measure; undefined where steps are fast. */
export function wordOfSlowSteps(
  job: Job,
  { threads = availableParallelism() }: DenoiserValues | ClassifierValues,
): string | undefined {
  const { batchSize } = job.settled;
  const seconds = (job.flops() * batchSize) / (speed * threads);
  return seconds < patience / 3
    ? undefined
    : `by its cost, a step of ${batchSize} such images takes very roughly ${duration(seconds)}; a smaller --size, --preset or --batch-size makes it less`;
}

/** Trains a few steps, keeps nothing, and says how long all of them will take. */
export async function estimate(
  job: Job,
  values: DenoiserValues | ClassifierValues,
  backend: Backend,
  shown: Progress,
  signal: AbortSignal,
): Promise<string> {
  const { minutes, batchSize, steps } = job.settled;
  const slow = wordOfSlowSteps(job, values);
  shown.say(
    `timing ${counted(timedSteps, "step")}, or the first if it is slow${slow === undefined ? "" : `: ${slow}`}`,
  );
  const times = [performance.now()];
  const timed = { steps: timedSteps, minutes: undefined, until: undefined, warmUpSteps: 0 };
  for await (const event of job.start({ ...timed, backend, signal })) {
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
  const seconds = Math.min(fastest * (steps ?? Number.POSITIVE_INFINITY), 60 * (minutes ?? Number.POSITIVE_INFINITY));
  const number = steps === undefined ? `, about ${counted(Math.round(seconds / fastest), "step")}` : "";
  return `time: ${about} ${duration(seconds)}${number} (${(batchSize / fastest).toPrecision(3)} images/s)`;
}
