import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { networkInput } from "../diffusion/process.ts";
import { UsageError } from "../errors.ts";
import { autoguidance } from "./autoguidance.ts";
import { type Classifier, classifierMean, classifierScore, type MeanGuidance } from "./classifier.ts";
import { classifierFree } from "./classifier-free.ts";
import { linear, type Mix, plusPlus, rescaled } from "./mix.ts";
import { clipped, type Denoiser, denoiserPredictor, type Predictor, type Scale, unconditional } from "./predictor.ts";
import { type Momentum, type Projection, projected } from "./projected.ts";
import { thresholded } from "./threshold.ts";

/** The networks of a conditional model, with their weights. */
export interface GuidedModel {
  readonly denoiser: Denoiser;
  readonly process: ProcessConfig;
  /** The label that stands for no class, where the denoiser has one. */
  readonly nullLabel?: number;
  readonly classifier?: Classifier;
  /** A worse version of the model, told of the same noise, for autoguidance. */
  readonly weak?: Pick<GuidedModel, "denoiser" | "process" | "nullLabel">;
}

export interface GuidanceOptions {
  /** Scale of classifier-free guidance; 1, the default, is off. */
  readonly classifierFree?: Scale | undefined;
  /** Scale of autoguidance; 1, the default, is off. */
  readonly autoguidance?: Scale | undefined;
  /** Scale of classifier guidance; 0, the default, is off. */
  readonly classifier?: Scale | undefined;
  /** CFG++: the scale of classifier-free guidance is a lambda of 0 to 1, and never off. For DDIM alone. */
  readonly cfgPlusPlus?: boolean | undefined;
  /** Adaptive projected guidance: of what classifier-free guidance, or autoguidance, adds. */
  readonly apg?: Projection | undefined;
  /** What earlier steps left for the momentum of `apg`; without it there is none. */
  readonly momentum?: Momentum | undefined;
  /** How far the spread of images guided without a classifier goes back to that of unguided ones: phi from 0, the default, to 1. */
  readonly rescale?: number | undefined;
  /** What classifier guidance shifts: the reverse `mean` (ancestral sampling) or the `score` (DDIM and other solvers). */
  readonly form: "mean" | "score";
  /** Where the mean form takes the gradient; `x_t` by default. */
  readonly gradientAt?: MeanGuidance["gradientAt"] | undefined;
  /** Give the denoiser the null label, so that the classifier alone steers. */
  readonly unconditional?: boolean | undefined;
  /** Limit predicted images to [-1, 1] before the classifier shifts them; on by default. */
  readonly clip?: boolean | undefined;
  /** Limit them by dynamic thresholding instead, to this percentile of their values; see `thresholded`. */
  readonly threshold?: number | undefined;
}

/**
 * The predictor of a model under any combination of guidance: classifier-free mixing, then autoguidance, then the limit of the image's
 * range, then the classifier's shift. With everything off it is the network's own prediction.
 *
 * @throws UsageError where the model lacks what an option needs, or options exclude each other.
 */
export function guide(model: GuidedModel, options: GuidanceOptions): Predictor {
  const { classifier = 0, form, gradientAt = "x_t", clip = true, threshold } = options;
  checkGuidance(options);
  const free = withLabels(denoiserPredictor(model.denoiser, model.process), model.nullLabel, options);
  const mixed = withWeak(free, model.weak, options);
  const limited = clip ? clipped(mixed) : mixed;
  const predictor = threshold === undefined ? limited : thresholded(mixed, threshold);
  if (classifier === 0) return predictor;
  if (!model.classifier)
    throw new UsageError(
      "classifier guidance needs a noisy classifier, but the model has none; train one, or use scale 0",
    );
  const { classifier: network, process } = model;
  const classify: Classifier = (x, timestep) => network(networkInput(x, timestep, process), timestep);
  return form === "mean"
    ? classifierMean(predictor, classify, { scale: classifier, gradientAt })
    : classifierScore(predictor, classify, { scale: classifier });
}

/** Guidance without a classifier. */
type Mixing = Omit<GuidanceOptions, "form">;

/** Does classifier-free guidance mix in the unconditional prediction? */
const mixesLabels = ({ classifierFree = 1, cfgPlusPlus = false }: Mixing): boolean =>
  cfgPlusPlus || classifierFree !== 1;

/** Throws UsageError where options exclude each other. */
export function checkGuidance(options: Mixing): void {
  const { classifierFree: scale = 1, autoguidance: weak = 1, cfgPlusPlus, apg, rescale = 0 } = options;
  const mixes = mixesLabels(options);
  const refuse = (problem: string): never => {
    throw new UsageError(problem);
  };
  // A scale is a number, or traced as one. From JavaScript it may be something else; not a number, it would make pictures of none.
  for (const name of ["classifier", "classifierFree", "autoguidance"] as const) {
    const given: unknown = options[name] ?? 1;
    if (typeof given !== "object" && !Number.isFinite(given))
      refuse(`the scale ${name} must be a finite number but is ${String(given)}`);
  }
  if (options.unconditional && mixes)
    refuse("classifier-free guidance mixes in the conditional prediction, which `unconditional` turns off; choose one");
  if (cfgPlusPlus) {
    if (typeof scale === "number" && !(scale >= 0 && scale <= 1))
      refuse(`CFG++ mixes by a scale from 0 (no class) to 1 but it is ${scale}; usual ones are 0.2 to 0.8`);
    if (apg || rescale !== 0)
      refuse("CFG++ stays between the two predictions, where APG and rescaling have nothing to take back; choose one");
    if (weak !== 1)
      refuse("CFG++ takes its noise from the unconditional prediction, not from a weak model; choose one");
  }
  if (apg && apg.momentum !== 0 && mixes && weak !== 1)
    refuse("momentum remembers one difference, but classifier-free guidance and autoguidance make two; use momentum 0");
  if (!(rescale >= 0 && rescale <= 1)) refuse(`rescale must be from 0 (off) to 1 but is ${rescale}`);
  if (apg && !(apg.threshold >= 0)) refuse(`threshold must be at least 0 but is ${apg.threshold}`);
}

function mixOf({ cfgPlusPlus, apg, momentum, rescale = 0 }: Mixing): Mix {
  if (cfgPlusPlus) return plusPlus;
  const mix = apg ? projected(apg, momentum) : linear;
  return rescale === 0 ? mix : rescaled(mix, rescale);
}

function withLabels(predictor: Predictor, nullLabel: number | undefined, options: Mixing): Predictor {
  const mixes = mixesLabels(options);
  if (!options.unconditional && !mixes) return predictor;
  if (nullLabel === undefined)
    throw new UsageError(
      "unconditional prediction and classifier-free guidance need a denoiser with a null label; train one with label dropout",
    );
  if (options.unconditional) return unconditional(predictor, nullLabel);
  return classifierFree(predictor, { scale: options.classifierFree ?? 1, nullLabel, mix: mixOf(options) });
}

function withWeak(predictor: Predictor, weak: GuidedModel["weak"], options: GuidanceOptions): Predictor {
  const { autoguidance: scale = 1, unconditional } = options;
  if (scale === 1) return predictor;
  if (!weak) throw new UsageError("autoguidance needs a weak model, but none was given; give one, or use scale 1");
  const told = withLabels(denoiserPredictor(weak.denoiser, weak.process), weak.nullLabel, { unconditional });
  return autoguidance(predictor, told, { scale, mix: mixOf(options) });
}
