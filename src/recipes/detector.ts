import { batchSequence } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import { type HeldOut, holdOut } from "../data/hold-out.ts";
import { trainedClasses } from "../data/labels/trained-classes.ts";
import { UsageError } from "../errors.ts";
import type { NetworkDescription } from "../models/families.ts";
import { defaultFeatures, featuresNetwork } from "../models/features/families.ts";
import type { FeaturesNetwork } from "../models/features/family.ts";
import { initialize } from "../nn/initialize.ts";
import type { Task } from "../training/task.ts";
import { type DetectorBatch, detectorTask } from "../training/tasks/detector.ts";
import type { TrainOptions } from "../training/train.ts";
import { describeData } from "./recipe.ts";

/** Choices of `detectorRecipe`; what is not given is as `guidestar train detector` has it. */
export interface DetectorRecipeOptions
  extends Omit<TrainOptions, "backend" | "steps" | "minutes" | "betas" | "config" | "mayChange" | "powerEma"> {
  /** Images and their classes, as `openDataset` gives them. */
  dataset: Dataset;
  /** Size of the network: `small`, or `base`, which is usual from 10 000 images on. */
  preset?: string | undefined;
  /** Updates in all; `detectorSteps` by default. */
  steps?: number | undefined;
  /** Images of an update; 64 by default. */
  batchSize?: number | undefined;
  /** Of weights and order of images; 0 by default. */
  seed?: number | undefined;
  /** Mirror half of the images, left to right; by default where they are of colour, for grey ones may be digits or letters. */
  flip?: boolean | undefined;
  /** Shift images by up to so many pixels; an eighth of their side by default. */
  crop?: number | undefined;
}

/** A training of a detector with all choices made. */
export interface DetectorRecipe extends HeldOut {
  readonly network: FeaturesNetwork;
  readonly description: NetworkDescription;
  readonly task: Task<DetectorBatch>;
  /** For `train`, beside the task; it takes a `backend` too, and where wanted `store` and `signal`. */
  readonly training: Omit<TrainOptions, "backend" | "steps" | "minutes"> & { readonly steps: number };
  /** What detector.json says of the images. */
  readonly data: ReturnType<typeof describeData>;
  readonly batchSize: number;
  readonly flip: boolean;
  readonly crop: number;
}

/** Images that are seen in training: each a dozen times, small data more often. */
const seen = (images: number): number => Math.min(600_000, Math.max(100_000, 12 * images));

/** Size of the network where none is asked for: many images teach a larger one. */
export const detectorPreset = (images: number): "small" | "base" => (images < 10_000 ? "small" : "base");

/** Updates in all where none are asked for. */
export const detectorSteps = (images: number, batchSize: number): number => Math.ceil(seen(images) / batchSize);

/**
 * How `guidestar train detector` trains on a data set, as values. Test images, or a share of the others where there are none, are never
 * trained on.
 *
 * @throws UsageError for a preset that does not exist; DataError where there are fewer than two classes, or nothing can be held out
 */
export function detectorRecipe(options: DetectorRecipeOptions): DetectorRecipe {
  const dataset = trainedClasses(options.dataset);
  const parts = holdOut(dataset);
  const {
    preset = detectorPreset(parts.train.count),
    batchSize = 64,
    seed = 0,
    dataset: _,
    flip: __,
    crop: ___,
    ...others
  } = options;
  const { presets, kind } = defaultFeatures;
  const config = Object.hasOwn(presets, preset) ? presets[preset as keyof typeof presets] : undefined;
  if (!config) throw new UsageError(`preset must be one of ${Object.keys(presets).join(", ")} but is "${preset}"`);
  const { imageShape, classes } = dataset;
  const description = { kind, config: config({ imageShape, classes: classes.length }) };
  const { network } = featuresNetwork(description, "detector");
  const { flip = imageShape[0] === 3, crop = Math.floor(Math.min(imageShape[1], imageShape[2]) / 8) } = options;
  const { steps = detectorSteps(parts.train.count, batchSize) } = options;
  return {
    ...parts,
    network,
    description,
    batchSize,
    flip,
    crop,
    task: detectorTask({
      network,
      weights: () => initialize(network, seed),
      batchAt: batchSequence(parts.train, { batchSize, seed, flip, crop }),
    }),
    training: {
      learningRate: 3e-3,
      decay: "cosine",
      warmUpSteps: Math.floor(steps / 10),
      weightDecay: 0.05,
      maxGradientNorm: 1,
      emaRate: 0.999,
      ...others,
      steps,
    },
    data: describeData(dataset),
  };
}
