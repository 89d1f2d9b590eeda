import { checkSameNoise, type Model } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import type { MakePredictor } from "../draw/step-graph.ts";
import { ModelError } from "../errors.ts";
import { type GuidedModel, guide } from "../guidance/guide.ts";
import { classifierNetwork, denoiserNetwork, denoiserSignature } from "../models/families.ts";
import { guidanceForm } from "../samplers/sampler.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { asksWeak, type GuidanceMemory, guidanceMemory, type ScaleName, scheduledScales } from "./guidance.ts";
import type { Run } from "./settings.ts";

/**
 * A model under the guidance of a run as the functions and arrays that `draw` and `stepGraph` take.
 *
 * @param weak the model of autoguidance, where the run has it
 */
export function predictorOf(model: Model, { guidance, sampler, clip }: Run, weak?: Model) {
  const denoiser = denoiserOf(model);
  const classifier = guidance.classifier === 0 ? undefined : model.classifier;
  if (classifier) checkSameNoise(model);
  const weaker = asksWeak(guidance) && weak ? denoiserOf(weak) : undefined;
  const weights = {
    denoiser: model.weights.denoiser ?? {},
    weak: weaker ? (weak!.weights.denoiser ?? {}) : {},
    classifier: classifier ? (model.weights.classifier ?? {}) : {},
  };
  const scheduled = scheduledScales(guidance);
  const predictor: MakePredictor<typeof weights, ScaleName, GuidanceMemory> = (weights, { scales, memory }) => {
    const classify = classifier && classifierNetwork(classifier);
    const now = Object.fromEntries(scheduled.map((name) => [name, scales[name]]));
    return guide(
      {
        ...network(denoiser, weights.denoiser),
        ...(weaker && { weak: network(weaker, weights.weak) }),
        ...(classify && { classifier: (x, t) => classify(weights.classifier, x, t) }),
      },
      { ...guidance, ...now, momentum: memory, form: guidanceForm(sampler), clip },
    );
  };
  return { predictor, weights, memory: guidanceMemory(guidance), shape: model.imageShape };
}

/** A denoiser of a model with its weights, as guidance asks it. */
function network(record: DenoiserRecord, weights: Readonly<Record<string, Tensor>>): GuidedModel {
  const [denoise, { nullLabel }] = [denoiserNetwork(record), denoiserSignature(record)];
  return {
    denoiser: (x, t, condition) => denoise(weights, x, t, condition),
    process: record.process,
    ...(nullLabel !== undefined && { nullLabel }),
  };
}

export function denoiserOf({ denoiser, source }: Pick<Model, "denoiser" | "source">): DenoiserRecord {
  if (denoiser) return denoiser;
  throw new ModelError(`${source}: the model has no denoiser to draw with; \`guidestar train denoiser\` adds one`);
}
