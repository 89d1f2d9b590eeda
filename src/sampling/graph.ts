import { checkSameNoise, type Model, networkShapes } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import { coefficientSpecs } from "../diffusion/noise-schedule.ts";
import { ModelError } from "../errors.ts";
import { type GuidedModel, guide } from "../guidance/guide.ts";
import { encoderUnet } from "../models/classifier.ts";
import { superResUnet } from "../models/super-resolution.ts";
import { unet } from "../models/unet.ts";
import type { Shape } from "../ndarray.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, i32, type Spec, trace } from "../tensor/trace.ts";
import { asksWeak, guidanceMemory, scheduledScales } from "./guidance.ts";
import { guidanceForm } from "./sampler.ts";
import type { Run } from "./settings.ts";
import type { Solver } from "./solver.ts";

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
  const { config, lowResolution: side } = denoiser;
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
    ...(side !== undefined && { lowRes: f32(batch, config.inChannels, side, side) }),
    denoiser: specsOf(networkShapes({ name: "denoiser", ...denoiser })),
    weak: weaker ? specsOf(networkShapes({ name: "denoiser", ...weaker })) : {},
    classifier: classifier ? specsOf(networkShapes({ name: "classifier", config: classifier.config })) : {},
  };
  return trace(specs, ({ x, noise, coefficients, memory, numbers, scales, label, lowRes, ...weights }) => {
    const classify = classifier && encoderUnet(classifier.config);
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
function network({ config, process }: DenoiserRecord, weights: Readonly<Record<string, Tensor>>): GuidedModel {
  const [plain, enlarge] = [unet(config), superResUnet(config)];
  return {
    denoiser: (x, t, { label, lowRes }) => {
      const y = config.numClasses === undefined ? undefined : label;
      return lowRes ? enlarge(weights, x, t, lowRes, y) : plain(weights, x, t, y);
    },
    process,
    ...(config.nullLabel && { nullLabel: config.numClasses! }),
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

const specsOf = (shapes: Readonly<Record<string, Shape>>): Record<string, Spec<"float32">> =>
  Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, f32(...shape)]));
