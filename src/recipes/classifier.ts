import { type NoiseConfig, noiseOf } from "../diffusion/process-config.ts";
import type { ClassifierNetwork } from "../models/family.ts";
import type { ClassifierOptions } from "../training/tasks/classifier.ts";
import type { TrainOptions } from "../training/train.ts";
import { beginning, recordOfStart, startOf } from "./fine-tuning.ts";
import { chooseClassifier } from "./network.ts";
import {
  commonOptions,
  describeData,
  type RecipeOptions,
  type SettledRecipe,
  settledOf,
  withHeldOut,
  withUsual,
} from "./recipe.ts";

/** Choices of `classifierRecipe`. */
export interface ClassifierRecipeOptions extends RecipeOptions {
  /** The noise that it reads classes in: that of the denoiser which it will guide. By default that of `from`, else as `usualTraining` says. */
  process?: NoiseConfig | undefined;
}

/**
 * How `guidestar train classifier` trains on a data set, as values: see `denoiserRecipe`.
 *
 * @throws UsageError for a family or a preset that does not exist.
 */
export function classifierRecipe(
  asked: ClassifierRecipeOptions,
): SettledRecipe<ClassifierNetwork, Omit<ClassifierOptions & TrainOptions, "backend">> {
  const { from, seed = 0 } = asked;
  const start = from && startOf("classifier", from);
  const options = withUsual("classifier", withHeldOut({ ...asked, process: asked.process ?? start?.process }));
  const process = options.process!;
  const { dataset } = options;
  const noise = noiseOf(process);
  const { imageShape, classes } = dataset;
  const followed = from && start && { source: from.source, network: start };
  const { description, network } = chooseClassifier(options, { imageShape, classes: classes.length }, followed);
  const { weights, ...plan } = beginning("classifier", from, { description, network, classes, imageShape, seed });
  return {
    network,
    ...plan,
    images: { train: dataset.train, test: dataset.test },
    settled: settledOf(options, process),
    training: {
      weightDecay: 0.05,
      ...commonOptions(options),
      network,
      weights,
      // What denoisers predict is nothing to a classifier.
      process: { ...noise, prediction: "x0", variance: "fixed-small" },
    },
    model: (weights, training = {}) => ({
      ...describeData(dataset),
      classifier: {
        record: { ...description, process: noise, training: { ...training, ...recordOfStart("classifier", from) } },
        weights,
      },
    }),
  };
}
