import { usualBackground } from "../background.ts";
import type { ModelToSave } from "../checkpoint/model.ts";
import { type Batch, batchSequence, gather } from "../data/batches.ts";
import type { Split } from "../data/content.ts";
import type { Dataset } from "../data/dataset.ts";
import { holdOut } from "../data/hold-out.ts";
import { trainedClasses } from "../data/labels/trained-classes.ts";
import { type NoiseConfig, type ProcessKind, processKind } from "../diffusion/process-config.ts";
import { UsageError } from "../errors.ts";
import type { NetworkRole } from "../models/family.ts";
import type { Transfer } from "../models/transfer.ts";
import type { JsonObject } from "../training/checkpoint.ts";
import type { Weights } from "../training/events.ts";
import type { TrainOptions } from "../training/train.ts";
import { fineTuning, type StartingModel } from "./fine-tuning.ts";
import { defaultPreset, type NetworkChoice } from "./network.ts";
import { imagesToLearn, usualHeldOut, usualMinutes, usualTraining } from "./usual.ts";

/** What the recipes of both kinds of networks take. What is not given is as `guidestar train` has it. */
export interface RecipeOptions
  extends NetworkChoice,
    Omit<TrainOptions, "backend" | "steps" | "betas" | "config" | "mayChange"> {
  /** Images and their classes, as `openDataset` gives them. */
  dataset: Pick<Dataset, "classes" | "imageShape" | "train" | "size"> &
    Partial<Pick<Dataset, "background" | "test" | "path">>;
  /**
   * Share of the images that is never trained on, and measured at checkpoints, where there are no test images: 512 at most. By default as
   * `usualHeldOut` says; 0 for none. See `holdOut`.
   */
  heldOut?: number | undefined;
  /**
   * A model, as `loadModel` gives it, to begin with: fine-tuning. Its network is followed where neither `family` nor `preset` is given, its
   * process where none is, and its weights are taken over as `planTransfer` says.
   */
  from?: StartingModel | undefined;
  /** Updates in all. Without them, and without `minutes`, as `usualTraining` says; of one that begins with a model as `fineTuning` does. */
  steps?: number | undefined;
  /** Images of an update; as `usualTraining` says by default, 64 of one that begins with a model. */
  batchSize?: number | undefined;
  /** Of weights, order of images, noise; 0 by default. */
  seed?: number;
  /** Mirror half of the images, left to right; not for digits or letters. Off by default. */
  flip?: boolean;
  /** Shift images by up to so many pixels; 0 by default. */
  crop?: number;
  /** How far classes are shown equally often, 0 (the default, as in the data) to 1; see `imageOrder`. */
  classBalance?: number | undefined;
}

/** A training with all choices made. */
export interface Recipe<Network, Options> {
  readonly network: Network;
  /** What is taken over of the model that it begins with, where there is one. */
  readonly transfer?: Transfer;
  /** For `trainDenoiser` or `trainClassifier`, which take a `backend` beside them, and where wanted `store` and `signal`. */
  readonly training: Options;
  /** What `saveModel` takes, with these weights. `record` is what model.json keeps of how they came about. */
  model(weights: Weights, record?: JsonObject): ModelToSave;
}

/** A training of images, with what was chosen by them. */
export interface SettledRecipe<Network, Options> extends Recipe<Network, Options> {
  /** The images that it learns from, and those that are never trained on. */
  readonly images: Pick<Dataset, "train"> & Partial<Pick<Dataset, "test">>;
  /** What was chosen of what was left open, and what was asked for beside it: as `guidestar train` calls it. */
  readonly settled: SettledOptions;
}

/** Options with all choices made that depend on the images. */
export interface SettledOptions {
  /** Undefined where the network is like that of a model to begin with. */
  readonly preset: string | undefined;
  readonly process: ProcessKind;
  /** Of `edm`. */
  readonly sigmaData: number | undefined;
  /** 0 where none is held out of the training images. */
  readonly heldOut: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly steps: number | undefined;
  readonly minutes: number | undefined;
  /** Stored, so that a run that is made longer keeps it. */
  readonly warmUpSteps: number;
}

/**
 * Options with what is usual for the images in place of what was left open: network, noise, batch, rate and length. One that begins with a model
 * follows that.
 */
export function withUsual<O extends RecipeOptions & { process?: NoiseConfig | undefined }>(
  role: NetworkRole,
  options: O,
): O {
  const { dataset, from, family, preset, steps, learningRate, until, batchSize = 64 } = options;
  const about = imagesToLearn(dataset.train);
  // A run until it is good has an end in minutes all the same.
  const minutes = options.minutes ?? (until && usualMinutes(about));
  if (from) {
    const usual = fineTuning[role];
    const length = steps === undefined && minutes === undefined ? { steps: usual.steps } : { steps, minutes };
    const { warmUpSteps = usualWarmUp(length.steps, usual.warmUpSteps) } = options;
    return { ...options, batchSize, learningRate: learningRate ?? usual.learningRate, ...length, warmUpSteps };
  }
  const usual = usualTraining(role, about);
  return {
    ...options,
    minutes,
    preset: preset ?? (family === undefined ? usual.preset : defaultPreset),
    process: options.process ?? usual.process,
    batchSize: options.batchSize ?? usual.batchSize,
    learningRate: learningRate ?? usual.learningRate,
    ...(steps === undefined && minutes === undefined && usual.length),
  };
}

/**
 * Options with the classes alone of which there are images, and with a share of these held out as test images where there are none.
 *
 * @throws UsageError for a share that is none, or where the data have test images; DataError where no image can be held out
 */
export function withHeldOut<O extends RecipeOptions>(options: O): O {
  const dataset = trainedClasses(options.dataset);
  const { train, test } = dataset;
  const { heldOut: share = test ? 0 : usualHeldOut(train.count) } = options;
  if (share === 0) return { ...options, dataset, heldOut: 0 };
  if (test)
    throw new UsageError(
      `a share to hold out (heldOut, --held-out) is for data without test images, but these have ${test.count}, which are measured; leave it out`,
    );
  if (!(share > 0 && share < 1)) throw new UsageError(`heldOut must be from 0 to less than 1 but is ${share}`);
  const parts = holdOut(dataset, { share, most: heldOutImages });
  return { ...options, dataset: { ...dataset, train: parts.train, test: parts.heldOut }, heldOut: share };
}

/** What of options is settled. */
export const settledOf = (
  { preset, heldOut = 0, batchSize, learningRate, steps, minutes, warmUpSteps = usualWarmUp(steps) }: RecipeOptions,
  process: NoiseConfig,
): SettledOptions => ({
  ...{
    preset,
    process: processKind(process),
    sigmaData: process.sigmaData,
    heldOut,
    batchSize: batchSize!,
    learningRate: learningRate!,
  },
  ...{ steps, minutes, warmUpSteps },
});

/** Images in memory at once: few of a large network, whose activations are most of the memory; more of a small one, for speed. */
export const usualMicroBatch = (preset: string | undefined): number => (preset === "base" ? 4 : 16);

/** Updates over which the learning rate rises in a run of so many, or of so many minutes, where nothing else is asked for. */
export const usualWarmUp = (steps: number | undefined, most = 200): number =>
  Math.min(most, Math.floor((steps ?? Number.POSITIVE_INFINITY) / 10));

/** Most images whose loss is measured at checkpoints, of those that are never trained on. */
const heldOutImages = 512;

/** Images at even places of a split, in batches of one size. */
function heldOutBatches(split: Split, size: number): Batch[] {
  const each = Math.min(size, split.count);
  const batches = Math.floor(Math.min(heldOutImages, split.count) / each);
  return Array.from({ length: batches }, (_, batch) =>
    gather(
      split,
      Array.from({ length: each }, (_, i) => Math.floor(((batch * each + i) * split.count) / (batches * each))),
    ),
  );
}

/** Options of `train` and its data that do not depend on what is learnt. */
export function commonOptions(options: RecipeOptions) {
  const {
    dataset,
    from: _from,
    heldOut: _held,
    family: _,
    preset,
    batchSize = 64,
    flip = false,
    crop = 0,
    classBalance,
    ...others
  } = options;
  const { steps, seed = 0, microBatch = usualMicroBatch(preset) } = options;
  const { warmUpSteps = usualWarmUp(steps), decay = options.until ? "late" : "cosine" } = options;
  const { maxGradientNorm = 1 } = options;
  if (options.until && !dataset.test)
    throw new UsageError(
      "to know when a run is good (until, --until) takes images that are never trained on, and none are held out; hold some out (heldOut: 0.1, --held-out 0.1)",
    );
  if (options.until && decay !== "late")
    throw new UsageError(`a run until it is good ends with a late decay, but decay is ${decay}; leave it out`);
  return {
    ...others,
    batchAt: batchSequence(dataset.train, {
      batchSize,
      seed,
      flip,
      crop,
      ...(classBalance !== undefined && { classBalance }),
    }),
    ...(dataset.test && { heldOut: heldOutBatches(dataset.test, Math.min(64, Math.max(microBatch, 16))) }),
    steps,
    seed,
    microBatch: Math.min(microBatch, batchSize),
    warmUpSteps,
    decay,
    maxGradientNorm,
  };
}

/** What model.json says of the data. */
export const describeData = ({
  classes,
  imageShape,
  size,
  background = usualBackground,
}: RecipeOptions["dataset"]) => ({
  classes,
  imageShape,
  preprocessing: {
    ...(size !== undefined && { size }),
    ...(background !== usualBackground && { background }),
  },
});
