import type { TimestepSampling } from "../diffusion/level-sampler.ts";
import type { LossOptions } from "../diffusion/losses.ts";
import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { checkProcess, learnsVariance, processKind } from "../diffusion/process-config.ts";
import type { DenoiserNetwork } from "../models/family.ts";
import { augmentSize } from "../training/batch/augment.ts";
import type { DenoiserOptions } from "../training/tasks/denoiser.ts";
import type { TrainOptions } from "../training/train.ts";
import { beginning, recordOfStart, startOf } from "./fine-tuning.ts";
import { chooseDenoiser } from "./network.ts";
import {
  commonOptions,
  describeData,
  type RecipeOptions,
  type SettledRecipe,
  settledOf,
  withHeldOut,
  withUsual,
} from "./recipe.ts";

/** Choices of `denoiserRecipe`. */
export interface DenoiserRecipeOptions extends RecipeOptions, LossOptions {
  /** What the network learns to undo; by default that of `from`, else the cosine schedule of T = 1000, predicting eps and variances. */
  process?: ProcessConfig | undefined;
  /** How noise levels are picked: by default `log-normal` for `edm`, else `uniform`. */
  timesteps?: TimestepSampling | undefined;
  /**
   * Share of images trained without their class, for classifier-free guidance; 0.1 by default. With 0 there is no null label, and none
   * without labels.
   */
  labelDropout?: number;
  /** Give a batch's noise to the images that it is nearest to. Off by default; see `assignNoise`. */
  immiscible?: boolean | undefined;
  /**
   * Probability of each change of an image - mirrored, turned, shifted - of which the network is told, so that it draws none. 0 by default;
   * see `augmented`.
   */
  augment?: number | undefined;
}

/** How a network for these variances is usually trained. */
export const usualLoss = (process: ProcessConfig): "hybrid" | "simple" =>
  learnsVariance(process) ? "hybrid" : "simple";

/**
 * How `guidestar train denoiser` trains on a data set, as values:
 *
 * ```ts
 * const recipe = denoiserRecipe({ dataset: await openDataset("photos.zip", { size: 32 }) });
 * const weights = await trained(trainDenoiser({ ...recipe.training, backend: await openBackend() }));
 * await saveModel("runs/photos", recipe.model(weights));
 * ```
 *
 * @throws UsageError for a family or a preset that does not exist, and for options that contradict each other.
 */
export function denoiserRecipe(
  asked: DenoiserRecipeOptions,
): SettledRecipe<DenoiserNetwork, Omit<DenoiserOptions & TrainOptions, "backend">> {
  const { from, seed = 0, augment = 0 } = asked;
  const start = from && startOf("denoiser", from);
  const options = withUsual("denoiser", withHeldOut({ ...asked, process: asked.process ?? start?.process }));
  const process = options.process!;
  checkProcess(process);
  const { dataset } = options;
  const { classes } = dataset;
  // Without labels the network is told nothing, so there is nothing to leave out.
  const labelDropout = classes.length > 0 ? (options.labelDropout ?? 0.1) : 0;
  const { imageShape } = dataset;
  const data = {
    ...{ imageShape, classes: classes.length },
    ...{ learnedVariance: learnsVariance(process), nullLabel: labelDropout > 0 },
    ...(augment > 0 && { augmentSize }),
  };
  const followed = from && start && { source: from.source, network: start };
  const { description, network } = chooseDenoiser(options, data, followed);
  const { weights, ...plan } = beginning("denoiser", from, { description, network, classes, imageShape, seed });
  return {
    network,
    ...plan,
    images: { train: dataset.train, test: dataset.test },
    settled: settledOf(options, process),
    training: {
      ...commonOptions(options),
      network,
      weights,
      process,
      loss: options.loss ?? usualLoss(process),
      timesteps: options.timesteps ?? (processKind(process) === "edm" ? "log-normal" : "uniform"),
      ...(classes.length > 0 && { classes: classes.length }),
      labelDropout,
      augment,
    },
    model: (weights, training = {}) => ({
      ...describeData(dataset),
      denoiser: {
        record: { ...description, process, training: { ...training, ...recordOfStart("denoiser", from) } },
        weights,
      },
    }),
  };
}
