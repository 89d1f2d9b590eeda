import { type Background, usualBackground } from "../background.ts";
import type { ModelToSave } from "../checkpoint/model.ts";
import { batchSequence } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Transfer } from "../models/transfer.ts";
import type { JsonObject } from "../training/checkpoint.ts";
import type { Weights } from "../training/events.ts";
import type { TrainOptions } from "../training/train.ts";
import type { StartingModel } from "./fine-tuning.ts";
import type { NetworkChoice } from "./network.ts";

/** What the recipes of both kinds of networks take. What is not given is as `guidestar train` has it. */
export interface RecipeOptions
  extends NetworkChoice,
    Omit<TrainOptions, "backend" | "steps" | "betas" | "config" | "mayChange"> {
  /** Images and their classes, as `openDataset` gives them. */
  dataset: Pick<Dataset, "classes" | "imageShape" | "train" | "size"> & { readonly background?: Background };
  /**
   * A model, as `loadModel` gives it, to begin with: fine-tuning. Its network is followed where neither `family` nor `preset` is given, its
   * process where none is, and its weights are taken over as `planTransfer` says.
   */
  from?: StartingModel | undefined;
  /**
   * Updates in all; 20 000 by default, 6000 of a classifier, fewer of one that begins with a model, and no limit where `minutes` are given.
   */
  steps?: number | undefined;
  /** Images of an update; 64 by default. */
  batchSize?: number;
  /** Of weights, order of images, noise; 0 by default. */
  seed?: number;
  /** Mirror half of the images, left to right; not for digits or letters. Off by default. */
  flip?: boolean;
  /** Shift images by up to so many pixels; 0 by default. */
  crop?: number;
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

/** Images in memory at once: few of a large network, whose activations are most of the memory; more of a small one, for speed. */
export const usualMicroBatch = (preset: string | undefined): number => (preset === "base" ? 4 : 16);

/** Updates over which the learning rate rises in a run of so many, or of so many minutes, where nothing else is asked for. */
export const usualWarmUp = (steps: number | undefined, most = 200): number =>
  Math.min(most, Math.floor((steps ?? Number.POSITIVE_INFINITY) / 10));

/** Options of `train` and its data that do not depend on what is learnt. */
export function commonOptions(
  options: RecipeOptions,
  usual: { readonly steps: number; readonly learningRate: number; readonly warmUpSteps?: number },
) {
  const { dataset, from: _from, family: _, preset, batchSize = 64, flip = false, crop = 0, ...others } = options;
  const { steps = options.minutes === undefined ? usual.steps : undefined } = options;
  const { seed = 0, microBatch = usualMicroBatch(preset), learningRate = usual.learningRate } = options;
  const { warmUpSteps = usualWarmUp(steps, usual.warmUpSteps), decay = "cosine" } = options;
  const { maxGradientNorm = 1 } = options;
  return {
    ...others,
    batchAt: batchSequence(dataset.train, { batchSize, seed, flip, crop }),
    steps,
    seed,
    microBatch: Math.min(microBatch, batchSize),
    learningRate,
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
