import type { ProcessConfig } from "../diffusion/chain.ts";
import { UsageError } from "../errors.ts";
import { type Classifier, classifierMean, classifierScore, type MeanGuidance } from "./classifier.ts";
import { classifierFree } from "./classifier-free.ts";
import { clipped, type Denoiser, denoiserPredictor, type Predictor, type Scale, unconditional } from "./predictor.ts";

/** The networks of a conditional model, with their weights. */
export interface GuidedModel {
  readonly denoiser: Denoiser;
  readonly process: ProcessConfig;
  /** The label that stands for no class, where the denoiser has one. */
  readonly nullLabel?: number;
  readonly classifier?: Classifier;
}

export interface GuidanceOptions {
  /** Scale of classifier-free guidance; 1, the default, is off. */
  readonly classifierFree?: Scale;
  /** Scale of classifier guidance; 0, the default, is off. */
  readonly classifier?: Scale;
  /** What classifier guidance shifts: the reverse `mean` (ancestral sampling) or the `score` (DDIM and other solvers). */
  readonly form: "mean" | "score";
  /** Where the mean form takes the gradient; `x_t` by default. */
  readonly gradientAt?: MeanGuidance["gradientAt"];
  /** Give the denoiser the null label, so that the classifier alone steers. */
  readonly unconditional?: boolean;
  /** Limit predicted images to [-1, 1] before the classifier shifts them; on by default. */
  readonly clip?: boolean;
}

/**
 * The predictor of a model under any combination of guidance: classifier-free mixing, then the limit of the image's range, then
 * the classifier's shift. With everything off it is the network's own prediction.
 *
 * @throws UsageError where the model lacks what an option needs.
 */
export function guide(model: GuidedModel, options: GuidanceOptions): Predictor {
  const { classifier = 0, form, gradientAt = "x_t", clip = true } = options;
  const mixed = withLabels(denoiserPredictor(model.denoiser, model.process), model.nullLabel, options);
  const predictor = clip ? clipped(mixed) : mixed;
  if (classifier === 0) return predictor;
  if (!model.classifier)
    throw new UsageError(
      "classifier guidance needs a noisy classifier, but the model has none; train one, or use scale 0",
    );
  return form === "mean"
    ? classifierMean(predictor, model.classifier, { scale: classifier, gradientAt })
    : classifierScore(predictor, model.classifier, { scale: classifier });
}

function withLabels(predictor: Predictor, nullLabel: number | undefined, options: GuidanceOptions): Predictor {
  const { classifierFree: scale = 1 } = options;
  if (!options.unconditional && scale === 1) return predictor;
  if (nullLabel === undefined)
    throw new UsageError(
      "unconditional prediction and classifier-free guidance need a denoiser with a null label; train one with label dropout",
    );
  if (options.unconditional && scale !== 1)
    throw new UsageError(
      "classifier-free guidance mixes in the conditional prediction, which `unconditional` turns off; choose one",
    );
  return options.unconditional ? unconditional(predictor, nullLabel) : classifierFree(predictor, { scale, nullLabel });
}
