import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { networkInput } from "../diffusion/process.ts";
import { ShapeError, UsageError } from "../errors.ts";
import { show } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { GuidanceParts } from "./guidance.ts";
import { type Guidance, guidances, type SettledGuidance, scaleIn } from "./guidances.ts";
import { linear } from "./mix.ts";
import { type Classifier, type Denoiser, denoiserPredictor, type Predictor } from "./predictor.ts";
import { settleGuidance } from "./settle.ts";

/** The networks of a conditional model, with their weights. */
export interface GuidedModel {
  /** The network, with its weights. */
  readonly denoiser: Denoiser;
  /** The process that it was trained for. */
  readonly process: ProcessConfig;
  /** The label that stands for no class, where the denoiser has one. */
  readonly nullLabel?: number;
  /** Largest scale of classifier-free guidance that a student is told. */
  readonly maxCfgScale?: number;
  /** A noisy classifier, with its weights, for classifier guidance. */
  readonly classifier?: Classifier;
  /** A worse version of the model, told of the same noise, for autoguidance. */
  readonly weakModel?: Pick<GuidedModel, "denoiser" | "process" | "nullLabel">;
}

/** What the predictor under guidance is made of beside its settings. */
export interface GuideOptions {
  /** What a classifier shifts: the reverse `mean` (ancestral sampling) or the `score` (DDIM and other solvers). */
  readonly form: "mean" | "score";
  /** Limit predicted images to [-1, 1] before the classifier shifts them; on by default. */
  readonly clip?: boolean | undefined;
  /** Scales that are traced, [1] or [N], by their names: they stand for the numbers, which then say only that they are on. */
  readonly scales?: Readonly<Record<string, Tensor>> | undefined;
  /** What earlier evaluations left, by the names of `guidanceMemory`; the next values are put here. Without it nothing is remembered. */
  readonly memory?: Record<string, Tensor> | undefined;
  /** Guidance of one's own: each maps the predictor of all before it. */
  readonly guides?: readonly ((predictor: Predictor) => Predictor)[] | undefined;
}

/** Settings of `guide`: those of guidance, and what is made of the networks. */
export type GuidanceOptions = Guidance & GuideOptions;

/**
 * The predictor of a model under any combination of guidance: classifier-free mixing, then autoguidance, then the limit of the image's
 * range, then the classifier's shift, then guidance of one's own. What is left out is off; with everything off it is the network's own
 * prediction.
 *
 * @throws UsageError where the model lacks what an option needs, or options exclude each other.
 */
export function guide(model: GuidedModel, options: GuidanceOptions): Predictor {
  const { form, clip, scales, memory, guides, ...guidance } = options;
  const { nullLabel, classifier, weakModel, maxCfgScale } = model;
  const facts = { nullLabel: nullLabel !== undefined, classifier: !!classifier, weakModel: !!weakModel, maxCfgScale };
  return guided(model, settleGuidance(guidance, facts), { form, clip, scales, memory, guides });
}

/** The same for guidance that is settled, and thus checked. */
export function guided(
  model: GuidedModel,
  values: SettledGuidance,
  { form, clip = true, scales = {}, memory = {}, guides = [] }: GuideOptions,
): Predictor {
  const told = ({ denoiser, process, nullLabel }: GuidedModel): Predictor =>
    guidances.reduce(
      (predictor, { tell }) => tell?.(values, predictor, nullLabel) ?? predictor,
      denoiserPredictor(denoiser, process),
    );
  const { process, nullLabel, classifier, weakModel } = model;
  const parts: GuidanceParts = {
    mix: guidances.reduce((mix, guidance) => guidance.mix?.(values, mix, memory) ?? mix, linear),
    scaleOf: (name) => scales[name] ?? scaleIn(values, name),
    nullLabel,
    toldScale: model.maxCfgScale !== undefined,
    classifier: classifier && ((x, timestep) => classifier(networkInput(x, timestep, process), timestep)),
    weak: weakModel && told(weakModel),
    form,
    clip,
  };
  const predictor = guidances.reduce(
    (predictor, guidance) => guidance.guide?.(values, predictor, parts) ?? predictor,
    told(model),
  );
  return guides.reduce((predictor, guide, i) => ownGuide(guide, i, predictor), predictor);
}

/** What guidance of one's own makes of a predictor. Throws ShapeError, which names the guide, where its predictions are no images as x_t. */
function ownGuide(guide: (predictor: Predictor) => Predictor, place: number, predictor: Predictor): Predictor {
  const name = `guides[${place}]${guide.name === "" ? "" : ` (${guide.name})`}`;
  const next = guide(predictor);
  if (typeof next !== "function")
    throw new UsageError(
      `${name} must give a predictor, a function of x_t, coefficients and condition, but gave ${next}`,
    );
  return (xt, c, condition) => {
    const prediction = named(name, () => next(xt, c, condition));
    for (const part of ["eps", "x0"] as const) {
      const shape = prediction[part]?.shape;
      if (shape === undefined || show(shape) !== show(xt.shape))
        throw new ShapeError(
          `${name}: ${part} of its prediction must be ${show(xt.shape)}, as x_t, but is ${shape ? show(shape) : "missing"}`,
        );
    }
    return prediction;
  };
}

/** What a function gives; a ShapeError in it names the guide. */
function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof ShapeError ? error.within(name) : error;
  }
}
