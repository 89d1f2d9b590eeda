import { checkSameNoise, type Model } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import { coefficientSpecs } from "../diffusion/noise-schedule.ts";
import { ModelError } from "../errors.ts";
import { type GuidedModel, guide } from "../guidance/guide.ts";
import { classifierNetwork, denoiserNetwork, denoiserSignature } from "../models/families.ts";
import { parameterSpecs } from "../nn/module.ts";
import { guidanceForm } from "../samplers/sampler.ts";
import type { Solver } from "../samplers/solver.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, i32, type Spec, trace } from "../tensor/trace.ts";
import { asksWeak, guidanceMemory, scheduledScales } from "./guidance.ts";
import type { Run } from "./settings.ts";

/**
 * One evaluation of a solver for all images of a batch as a graph: x_t, noise, coefficients, the solver's memory and numbers,
 * scheduled scales, labels, small images where it upsamples, and weights to the next x, the expected image and the next memory.
 *
 * @param weak the model of autoguidance, where the run has it
 */
export function stepGraph(
  model: Omit<Model, "weights">,
  { guidance, sampler, clip }: Run,
  batch: number,
  solver: Pick<Solver, "step" | "memory" | "numbers">,
  weak?: Omit<Model, "weights">,
) {
  const denoiser = denoiserOf(model);
  const { lowRes: small } = denoiserSignature(denoiser);
  const classifier = guidance.classifier === 0 ? undefined : model.classifier;
  if (classifier) checkSameNoise(model);
  const weaker = asksWeak(guidance) && weak ? denoiserOf(weak) : undefined;
  const images = f32(batch, ...model.imageShape);
  const each = (names: readonly string[], spec: Spec<"float32">): Record<string, Spec<"float32">> =>
    Object.fromEntries(names.map((name) => [name, spec]));
  const specs = {
    x: images,
    noise: images,
    coefficients: coefficientSpecs(batch),
    memory: each(solver.memory, images),
    numbers: each(solver.numbers, f32(batch)),
    scales: each(scheduledScales(guidance), f32(1)),
    label: i32(batch),
    ...(small && { lowRes: f32(batch, ...small) }),
    denoiser: parameterSpecs(denoiserNetwork(denoiser)),
    weak: weaker ? parameterSpecs(denoiserNetwork(weaker)) : {},
    classifier: classifier ? parameterSpecs(classifierNetwork(classifier)) : {},
  };
  return trace(specs, ({ x, noise, coefficients, memory, numbers, scales, label, lowRes, ...weights }) => {
    const classify = classifier && classifierNetwork(classifier);
    const average = memory[guidanceMemory];
    const momentum = average && { average };
    const predictor = guide(
      {
        ...network(denoiser, weights.denoiser),
        ...(weaker && { weak: network(weaker, weights.weak) }),
        ...(classify && { classifier: (x, t) => classify(weights.classifier, x, t) }),
      },
      { ...guidance, ...scales, momentum, form: guidanceForm(sampler), clip },
    );
    const condition = { label, ...(lowRes && { lowRes }) };
    const result = solver.step(predictor, { x, noise, coefficients, memory, numbers, condition });
    const remembered = { ...result.memory, ...(momentum && { [guidanceMemory]: momentum.average }) };
    return { x: result.x, x0: result.x0, memory: remembered };
  });
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

export const boundWeights = ({ weights }: Model, { guidance }: Run, weak?: Model) => ({
  denoiser: weights.denoiser ?? {},
  weak: asksWeak(guidance) ? (weak?.weights.denoiser ?? {}) : {},
  classifier: guidance.classifier === 0 ? {} : (weights.classifier ?? {}),
});
