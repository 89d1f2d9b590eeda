import { checkSameNoise, type Model, networkShapes } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import { coefficientSpecs } from "../diffusion/chain.ts";
import { ModelError } from "../errors.ts";
import { guide } from "../guidance/guide.ts";
import { encoderUnet } from "../models/classifier.ts";
import { superResUnet } from "../models/super-resolution.ts";
import { unet } from "../models/unet.ts";
import type { Shape } from "../ndarray.ts";
import { f32, i32, type Spec, trace } from "../tensor/trace.ts";
import { guidanceForm } from "./sampler.ts";
import type { Run } from "./settings.ts";
import type { Solver } from "./solver.ts";

/**
 * One evaluation of a solver for all images of a batch as a graph: x_t, noise, coefficients, the solver's memory and numbers,
 * labels, small images where it upsamples, and weights to the next x, the expected image and the next memory.
 */
export function stepGraph(
  model: Omit<Model, "weights">,
  { guidance, sampler, clip }: Run,
  batch: number,
  solver: Pick<Solver, "step" | "memory" | "numbers">,
) {
  const denoiser = denoiserOf(model);
  const { config, lowResolution: side, process } = denoiser;
  const classifier = guidance.classifier === 0 ? undefined : model.classifier;
  if (classifier) checkSameNoise(model);
  const images = f32(batch, ...model.imageShape);
  const each = (names: readonly string[], spec: Spec<"float32">): Record<string, Spec<"float32">> =>
    Object.fromEntries(names.map((name) => [name, spec]));
  const specs = {
    x: images,
    noise: images,
    coefficients: coefficientSpecs(batch),
    memory: each(solver.memory, images),
    numbers: each(solver.numbers, f32(batch)),
    label: i32(batch),
    ...(side !== undefined && { lowRes: f32(batch, config.inChannels, side, side) }),
    denoiser: specsOf(networkShapes({ name: "denoiser", ...denoiser })),
    classifier: classifier ? specsOf(networkShapes({ name: "classifier", config: classifier.config })) : {},
  };
  return trace(specs, ({ x, noise, coefficients, memory, numbers, label, lowRes, ...weights }) => {
    const plain = unet(config);
    const enlarge = superResUnet(config);
    const classify = classifier && encoderUnet(classifier.config);
    const predictor = guide(
      {
        denoiser: (x, t, condition) => {
          const y = config.numClasses === undefined ? undefined : condition.label;
          return condition.lowRes
            ? enlarge(weights.denoiser, x, t, condition.lowRes, y)
            : plain(weights.denoiser, x, t, y);
        },
        process,
        ...(config.nullLabel && { nullLabel: config.numClasses! }),
        ...(classify && { classifier: (x, t) => classify(weights.classifier, x, t) }),
      },
      { ...guidance, form: guidanceForm(sampler), clip },
    );
    const condition = { label, ...(lowRes && { lowRes }) };
    const result = solver.step(predictor, { x, noise, coefficients, memory, numbers, condition });
    return { x: result.x, x0: result.x0, memory: result.memory ?? {} };
  });
}

export function denoiserOf({ denoiser, source }: Pick<Model, "denoiser" | "source">): DenoiserRecord {
  if (denoiser) return denoiser;
  throw new ModelError(`${source}: the model has no denoiser to draw with; \`guidestar train denoiser\` adds one`);
}

export const boundWeights = ({ weights }: Model, { guidance }: Run) => ({
  denoiser: weights.denoiser ?? {},
  classifier: guidance.classifier === 0 ? {} : (weights.classifier ?? {}),
});

const specsOf = (shapes: Readonly<Record<string, Shape>>): Record<string, Spec<"float32">> =>
  Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, f32(...shape)]));
