import { reverseMean } from "../diffusion/prediction.ts";
import { shiftScore } from "../diffusion/score.ts";
import { oneHot } from "../tensor/functions.ts";
import { gradients } from "../tensor/gradient.ts";
import type { Labels, Tensor } from "../tensor/tensor.ts";
import { labelsOf, type Predictor, type Scale, scaled } from "./predictor.ts";

/** A noisy classifier with its weights: x_t [N, C, H, W] and timesteps [N] to logits [N, K]. */
export type Classifier = (xt: Tensor, timestep: Tensor) => Tensor;

/** log p(y | x_t) of each image: logits [N, K], labels [N], int32 or int64 -> [N]. */
export const logProbability = (logits: Tensor, labels: Labels): Tensor =>
  logits.logSoftmax().mul(oneHot(labels, logits.shape[1]!)).sum(-1);

/** grad log p(y | x) with respect to x, of x's shape. The images of a batch don't see each other. */
export const classifierGradient = (classifier: Classifier, x: Tensor, timestep: Tensor, labels: Labels): Tensor =>
  gradients(logProbability(classifier(x, timestep), labels).sum(), { x }).x;

/**
 * Classifier guidance of the score: eps - sigma_t scale grad log p(y | x_t). Algorithm 2, Dhariwal & Nichol 2021. For DDIM and
 * every other solver of the probability flow. Scale 0 is off.
 */
export function classifierScore(
  predictor: Predictor,
  classifier: Classifier,
  { scale }: { readonly scale: Scale },
): Predictor {
  if (scale === 0) return predictor;
  return (xt, c, condition) => {
    const g = classifierGradient(classifier, xt, c.timestep, labelsOf(condition, "classifier guidance"));
    return shiftScore(predictor(xt, c, condition), scaled(g, scale), c);
  };
}

export interface MeanGuidance {
  readonly scale: Scale;
  /**
   * `x_t`: at the present image and timestep, as published code does. `mean`: at the mean of x_{t-1} and at its timestep, as the
   * derivation says: p(y | x_{t-1}) is expanded around the mean, and it is a classifier of images with the noise of t - 1.
   * There is none of noiseless images, so the last step asks the one of least noise.
   */
  readonly gradientAt: "x_t" | "mean";
}

/**
 * Classifier guidance of the reverse mean: mu + scale Sigma grad log p(y | x). Algorithm 1 and eq. 3-10, Dhariwal & Nichol 2021.
 * For ancestral sampling; eps and x0 stay, so samplers that read those are not guided by it. Scale 0 is off.
 */
export function classifierMean(
  predictor: Predictor,
  classifier: Classifier,
  { scale, gradientAt }: MeanGuidance,
): Predictor {
  if (scale === 0) return predictor;
  return (xt, c, condition) => {
    const prediction = predictor(xt, c, condition);
    const mean = reverseMean(prediction, xt, c);
    const [x, timestep] = gradientAt === "mean" ? [mean, c.timestepPrevious] : [xt, c.timestep];
    const g = classifierGradient(classifier, x, timestep, labelsOf(condition, "classifier guidance"));
    return { ...prediction, mean: mean.add(scaled(g, scale).mul(prediction.variance)) };
  };
}
