import type { Model } from "../../../src/checkpoint/model.ts";
import type { Guidance } from "../../../src/guidance/guidances.ts";
import { denoiserNetwork } from "../../../src/models/families.ts";
import { float32, int32 } from "../../../src/ndarray.ts";
import { initialize } from "../../../src/nn/initialize.ts";
import { integers, normals } from "../../../src/random.ts";
import type { Backend } from "../../../src/runtime/backend.ts";
import { knownSamplers } from "../../../src/samplers/sampler.ts";
import { type SettledRun, settle } from "../../../src/sampling/settings.ts";
import type { DenoiserOptions } from "../../../src/training/tasks/denoiser.ts";
import { type TrainOptions, trainDenoiser } from "../../../src/training/train.ts";
import { tinyModel } from "../../support/tiny-model.ts";

/** Guidance of every kind, by its name; each setting of guidance is in one of them. */
const guided: Readonly<Record<string, Guidance>> = {
  none: { cfgScale: 1, classifierScale: 0 },
  unconditional: { cfgScale: 1, classifierScale: 5, unconditional: true },
  "classifier-free": { cfgScale: 2, classifierScale: 0 },
  "cfg++": { cfgScale: 0.4, cfgPlusPlus: true, classifierScale: 0 },
  classifier: { cfgScale: 1, classifierScale: 2, gradientAt: "x_t" },
  autoguidance: { autoguidanceScale: 2, cfgScale: 1, classifierScale: 0 },
  projected: { cfgScale: 3, apgEta: 0.5, apgThreshold: 5, apgMomentum: -0.5, classifierScale: 0 },
  rescaled: { cfgScale: 3, cfgRescale: 0.7, classifierScale: 0 },
  threshold: { cfgScale: 3, threshold: 99, classifierScale: 0 },
  interval: { cfgScale: 3, guidanceInterval: [0.3, 3], classifierScale: 0 },
  schedule: { cfgScale: 3, guidanceSchedule: "linear", classifierScale: 0 },
};
export const guidanceCases = guided;

/** Runs of a few steps, one picture each: of every kind of sampler, and of every kind of guidance. */
export function runsOf(model: Model): { readonly name: string; readonly run: SettledRun; readonly weak: boolean }[] {
  const settled = (name: string, kind: string, guidance: Guidance) => {
    const weak = guidance.autoguidanceScale !== undefined;
    const run = settle(model, {
      labels: [3],
      seeds: [7],
      sampler: { kind, steps: 3 },
      guidance,
      ...(weak && { weakModel: model }),
    });
    return { name, run: JSON.parse(JSON.stringify(run)) as SettledRun, weak };
  };
  // The bundled model is no student.
  const denoisers = knownSamplers().filter(({ consistency }) => !consistency);
  return [
    ...denoisers.map(({ kind }) => settled(`sampler ${kind}`, kind, { cfgScale: 2, classifierScale: 0 })),
    ...Object.entries(guided).map(([name, guidance]) => settled(`guidance ${name}`, "ddim", guidance)),
  ];
}

/** Training of a small UNet on noise with labels: groups, embeddings, halved images, dropped labels, clipping, averages. */
export function unetRun(backend: Backend, steps: number): DenoiserOptions & TrainOptions {
  const { record } = tinyModel().denoiser;
  const network = denoiserNetwork(record);
  const batchSize = 4;
  return {
    backend,
    steps,
    network,
    weights: initialize(network, 1),
    process: record.process,
    batchAt: (step) => ({
      x: float32([batchSize, 1, 8, 8], normals(8, step, batchSize * 64).map(Math.tanh)),
      y: int32([batchSize], integers(9, step, batchSize, 3)),
    }),
    seed: 1,
    classes: 3,
    labelDropout: 0.2,
    maxGradientNorm: 1,
    learningRate: 1e-3,
    emaRate: 0.9,
    config: { seed: 1 },
  };
}

/** The loss of each step. */
export async function lossesOf(options: DenoiserOptions & TrainOptions): Promise<number[]> {
  const losses: number[] = [];
  for await (const event of trainDenoiser(options)) if (event.kind === "step") losses.push(event.loss);
  return losses;
}
