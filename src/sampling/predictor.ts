import { checkSameNoise, type Model } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import type { MakePredictor } from "../draw/step-graph.ts";
import { ModelError } from "../errors.ts";
import { asks, guidanceMemory } from "../guidance/guidances.ts";
import { type GuidedModel, guided } from "../guidance/guide.ts";
import { scheduledScales } from "../guidance/steps.ts";
import { classifierNetwork, denoiserNetwork, denoiserSignature } from "../models/families.ts";
import { guidanceForm } from "../samplers/sampler.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { RunOptions, SettledRun } from "./settings.ts";

/**
 * A model under the guidance of a run as the functions and arrays that `draw` and `stepGraph` take.
 *
 * @param weakModel the model of autoguidance, where the run has it
 */
export function predictorOf(
  model: Model,
  { guidance, sampler, clip }: SettledRun,
  { weakModel, guides }: Pick<RunOptions, "weakModel" | "guides"> = {},
) {
  const denoiser = denoiserOf(model);
  const classifier = asks("classifier", guidance) ? model.classifier : undefined;
  if (classifier) checkSameNoise(model);
  const weaker = asks("weakModel", guidance) && weakModel ? denoiserOf(weakModel) : undefined;
  const weights = {
    denoiser: model.weights.denoiser ?? {},
    weakModel: weaker ? (weakModel!.weights.denoiser ?? {}) : {},
    classifier: classifier ? (model.weights.classifier ?? {}) : {},
  };
  const scheduled = scheduledScales(guidance);
  const predictor: MakePredictor<typeof weights, string, string> = (weights, { scales, memory }) => {
    const classify = classifier && classifierNetwork(classifier);
    const now = Object.fromEntries(scheduled.map((name) => [name, scales[name]!]));
    return guided(
      {
        ...network(denoiser, weights.denoiser),
        ...(weaker && { weakModel: network(weaker, weights.weakModel) }),
        ...(classify && { classifier: (x, t) => classify(weights.classifier, x, t) }),
      },
      guidance,
      { scales: now, memory, form: guidanceForm(sampler), clip, guides },
    );
  };
  return { predictor, weights, memory: guidanceMemory(guidance), shape: model.imageShape };
}

/** A denoiser of a model with its weights, as guidance asks it. */
function network(record: DenoiserRecord, weights: Readonly<Record<string, Tensor>>): GuidedModel {
  const [denoise, { nullLabel, maxCfgScale }] = [denoiserNetwork(record), denoiserSignature(record)];
  return {
    denoiser: (x, t, condition) => denoise(weights, x, t, condition),
    process: record.process,
    ...(nullLabel !== undefined && { nullLabel }),
    ...(maxCfgScale !== undefined && { maxCfgScale }),
  };
}

export function denoiserOf({ denoiser, source }: Pick<Model, "denoiser" | "source">): DenoiserRecord {
  if (denoiser) return denoiser;
  throw new ModelError(`${source}: the model has no denoiser to draw with; \`guidestar train denoiser\` adds one`);
}
