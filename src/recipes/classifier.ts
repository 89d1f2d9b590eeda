import { trainedClasses } from "../data/labels/trained-classes.ts";
import { ddpmProcess, type NoiseConfig, noiseOf } from "../diffusion/process-config.ts";
import type { ClassifierNetwork } from "../models/family.ts";
import { initialize } from "../nn/initialize.ts";
import type { ClassifierOptions } from "../training/tasks/classifier.ts";
import type { TrainOptions } from "../training/train.ts";
import { chooseClassifier } from "./network.ts";
import { commonOptions, describeData, type Recipe, type RecipeOptions } from "./recipe.ts";

/** Choices of `classifierRecipe`. */
export interface ClassifierRecipeOptions extends RecipeOptions {
  /** The noise that it reads classes in: that of the denoiser which it will guide. By default the cosine schedule of T = 1000. */
  process?: NoiseConfig;
}

/**
 * How `guidestar train classifier` trains on a data set, as values: see `denoiserRecipe`.
 *
 * @throws UsageError for a family or a preset that does not exist.
 */
export function classifierRecipe(
  options: ClassifierRecipeOptions,
): Recipe<ClassifierNetwork, Omit<ClassifierOptions & TrainOptions, "backend">> {
  const { process = ddpmProcess(), seed = 0 } = options;
  const dataset = trainedClasses(options.dataset);
  const noise = noiseOf(process);
  const { imageShape, classes } = dataset;
  const { description, network } = chooseClassifier(options, { imageShape, classes: classes.length });
  return {
    network,
    training: {
      weightDecay: 0.05,
      ...commonOptions({ ...options, dataset }, 6000),
      network,
      weights: () => initialize(network, seed),
      // What denoisers predict is nothing to a classifier.
      process: { ...noise, prediction: "x0", variance: "fixed-small" },
    },
    model: (weights, training = {}) => ({
      ...describeData(dataset),
      classifier: { record: { ...description, process: noise, training }, weights },
    }),
  };
}
