import { reverseMean } from "../../diffusion/prediction.ts";
import { shiftScore } from "../../diffusion/score.ts";
import { choice, number } from "../../setting.ts";
import { oneHot } from "../../tensor/functions.ts";
import { gradients } from "../../tensor/gradient.ts";
import type { Labels, Tensor } from "../../tensor/tensor.ts";
import { defineGuidance } from "../guidance.ts";
import { type Classifier, labelsOf, type Predictor, type Scale, scaled } from "../predictor.ts";

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

/** Settings of `classifierMean`. */
export interface MeanGuidance {
  /** 0 is off. */
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

/** Scale where the denoiser is told no class. */
const usualAlone = 2;

export const classifierGuidance = defineGuidance({
  settings: {
    /** Scale of classifier guidance; 0 is off. */
    classifierScale: number("classifier guidance; 0 is off", {
      off: 0,
      otherwise: `0; ${usualAlone} with --unconditional`,
      cost: "on",
      formerly: "classifier",
    }),
    /** Where ancestral sampling takes the classifier's gradient: at `x_t` (the default), or at the `mean` of x_{t-1}. */
    gradientAt: choice(["x_t", "mean"], "where ddpm takes the classifier's gradient", { off: "x_t", cost: "value" }),
  },
  recorded: {
    unconditionalClassifierScale: number("classifier guidance where the denoiser is told no class", {
      cost: "none",
      formerly: "unconditionalClassifier",
    }),
  },
  scale: "classifierScale",
  network: "classifier",
  usual({ gradientAt }, record, { classifier, nullLabel, maxCfgScale, isOn }) {
    const alone = (record.unconditionalClassifierScale as number | undefined) ?? usualAlone;
    const steered = isOn("unconditional")
      ? alone
      : (record.classifierScale ?? (nullLabel || maxCfgScale !== undefined ? 0 : 1));
    return { classifierScale: classifier ? steered : 0, gradientAt: gradientAt ?? record.gradientAt };
  },
  problem({ classifierScale, gradientAt }, { classifier, sampler }) {
    if (gradientAt === "mean" && sampler && sampler.reads !== "mean")
      return 'only ddpm has a mean to take the classifier\'s gradient at; use ddpm, or gradientAt "x_t"';
    if (classifierScale !== 0 && !classifier)
      return "classifier guidance needs a noisy classifier, but the model has none; train one, or use scale 0";
    return undefined;
  },
  guide({ classifierScale, gradientAt }, predictor, { classifier, form, scaleOf }) {
    if (classifierScale === 0) return predictor;
    const scale = scaleOf("classifierScale");
    return form === "mean"
      ? classifierMean(predictor, classifier!, { scale, gradientAt })
      : classifierScore(predictor, classifier!, { scale });
  },
  describe: ({ classifierScale, gradientAt }) =>
    classifierScale === 0 ? undefined : `classifier ${classifierScale}${gradientAt === "mean" ? " at the mean" : ""}`,
});
