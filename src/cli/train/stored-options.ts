import { ModelError, UsageError } from "../../errors.ts";
import { usualWarmUp } from "../../recipes/recipe.ts";
import type { Json, JsonObject } from "../../training/checkpoint.ts";
import { type changeable, refusedChanges } from "../../training/resume.ts";
import { flagOf } from "../terminal/option.ts";
import type { ClassifierValues } from "./classifier.ts";
import type { DenoiserValues } from "./denoiser.ts";

type OptionName = keyof DenoiserValues | keyof ClassifierValues;

/**
 * What each option decides that does not say how the run learns (`changeable`, in training/resume.ts): what the network is and learns from
 * (`model`), or where and how long that runs, which changes nothing of what is computed (`run`).
 */
const decides: Readonly<Record<Exclude<OptionName, (typeof changeable)[number]>, "model" | "run">> = {
  from: "model",
  family: "model",
  preset: "model",
  process: "model",
  schedule: "model",
  zeroTerminalSnr: "model",
  diffusionSteps: "model",
  sigmaData: "model",
  prediction: "model",
  loss: "model",
  timesteps: "model",
  labels: "model",
  labelColumn: "model",
  range: "model",
  background: "model",
  size: "model",
  seed: "model",
  heldOut: "model",
  until: "model",
  augment: "model",
  powerEma: "model",
  data: "run",
  out: "run",
  strict: "run",
  storage: "run",
  keep: "run",
  checkpointEvery: "run",
  checkpointMinutes: "run",
  sampleEvery: "run",
  detector: "run",
  stopWhenCopying: "run",
  sampleMinutes: "run",
  resume: "run",
  fromStep: "run",
  dryRun: "run",
  device: "run",
  threads: "run",
};

const isRun = (key: string): boolean => (decides as Readonly<Record<string, string>>)[key] === "run";

/** Options that may change when a run is resumed, beside those of how it learns. */
export const mayChange: readonly string[] = Object.keys(decides).filter(isRun);

/** Options as a checkpoint keeps them. */
export const storedOptions = (values: object): JsonObject =>
  JSON.parse(
    JSON.stringify(values, (key, value) => (["resume", "fromStep", "dryRun", "out"].includes(key) ? undefined : value)),
  );

/**
 * What the model's record keeps of them: those that decide what is computed, and how they changed. The recipe adds which model it began with.
 */
export const trainingRecord = ({
  fingerprint: _,
  microBatch: __,
  from: ___,
  start: ____,
  ...options
}: JsonObject): JsonObject => Object.fromEntries(Object.entries(options).filter(([key]) => !isRun(key)));

/** Names of options of version 0.1.0. */
const renamed: Readonly<Record<string, OptionName>> = {
  batch: "batchSize",
  warmUp: "warmUpSteps",
  clipGradient: "maxGradientNorm",
  ema: "emaRate",
  dropoutLabel: "labelDropout",
  noiseSteps: "diffusionSteps",
  dataDeviation: "sigmaData",
};

/**
 * Options that any version stored, under today's names. The warm-up was not stored where the run's length decided it; nothing was held out of
 * training images, nor is it where it is not stored.
 */
export function upgradeOptions(stored: JsonObject): JsonObject {
  const options = Object.fromEntries(
    Object.entries(stored).map(([key, value]): [string, Json] => {
      if (key === "loss" && value === "bound") return [key, "vlb"];
      return [renamed[key] ?? key, value];
    }),
  );
  const { steps } = options;
  return { heldOut: 0, ...(typeof steps === "number" && { warmUpSteps: usualWarmUp(steps) }), ...options };
}

/**
 * The options of a run that goes on: those that it was started with, and those given now where they may change.
 *
 * @throws UsageError where another one was given that may not.
 */
export function resumedValues<V extends Readonly<Record<string, unknown>>>(
  values: V,
  given: ReadonlySet<string>,
  stored: JsonObject,
): V {
  const resumed = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, given.has(key) ? value : (stored[key] ?? value)]),
  ) as V;
  const refused = refusedChanges(stored, storedOptions(resumed), mayChange).find(({ key }) => given.has(key));
  if (refused)
    throw new UsageError(
      `${flagOf(refused.key)} was ${refused.before ?? "left open"} when this run began, and is ${refused.now} now; leave it out to go on, or train into a new folder`,
    );
  return resumed;
}

/** Throws ModelError unless the data is what the run began with. */
export function checkSameData(path: string, fingerprint: string, stored: JsonObject): void {
  if (stored.fingerprint !== fingerprint)
    throw new ModelError(
      `${path}: these are not the images that this run began with; give them by --data, or train into a new folder`,
    );
}
