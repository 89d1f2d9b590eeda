import { ddpmProcess, edmProcess, flowProcess } from "../../src/diffusion/process-config.ts";
import type { DenoiserRecipeOptions } from "../../src/recipes/denoiser.ts";

/** A way to train that is measured beside the others. */
export interface QualityRecipe {
  /** What it is, in a line. */
  readonly about: string;
  /** What of `denoiserRecipe` is not as usual. */
  readonly options: Omit<DenoiserRecipeOptions, "dataset" | "steps" | "minutes" | "seed">;
}

/** The one that all others are compared with. */
export const baseline = "baseline";

const x0Flow = flowProcess({ prediction: "x0" });
const logitNormal = (mean: number, std: number) => ({ timesteps: { mean, std } }) as const;

/**
 * The recipes, by name; a new idea is one entry. The baseline is that of openai/guided-diffusion, as its README trains 64x64: the ADM UNet,
 * eps and variances by the hybrid loss, timesteps all alike, Adam at 1e-4 without decay, clipping or warm-up, an average at 0.9999; and the
 * class is never hidden. Its average rises with the updates, which that repository's does not: without that it would still be the random first
 * weights after minutes.
 */
export const recipes: Readonly<Record<string, QualityRecipe>> = {
  [baseline]: {
    about: "ADM UNet, cosine chain, eps, learned variances, Adam 1e-4 constant: the recipe of openai/guided-diffusion",
    options: {
      process: ddpmProcess({ schedule: "cosine", variance: "learned-range" }),
      learningRate: 1e-4,
      decay: "none",
      warmUpSteps: 0,
      maxGradientNorm: 0,
      labelDropout: 0,
    },
  },
  small: {
    about: "what `train denoiser` did before budgets: 1e-3 with cosine decay, clipping, labels dropped",
    options: {},
  },
  simple: { about: "small without learned variances", options: { process: ddpmProcess(), loss: "simple" } },
  v: { about: "small, predicting v", options: { process: ddpmProcess({ prediction: "v" }) } },
  "min-snr": {
    about: "small without learned variances, min-SNR weights",
    options: { process: ddpmProcess(), lossWeight: "min-snr" },
  },
  batch16: { about: "small, 16 images a step", options: { batchSize: 16 } },
  edm: { about: "EDM: preconditioning, log-normal noise", options: { process: edmProcess() } },
  "edm-16": { about: "EDM, 16 images a step", options: { process: edmProcess(), batchSize: 16 } },
  flow: { about: "flow, velocity, logit-normal times", options: { process: flowProcess(), timesteps: "logit-normal" } },
  "flow-16": {
    about: "flow, velocity, logit-normal times, 16 images a step",
    options: { process: flowProcess(), timesteps: "logit-normal", batchSize: 16 },
  },
  "x0-flow": {
    about: "flow, predicting the image (JiT, arXiv 2511.13720), more noise",
    options: { process: x0Flow, ...logitNormal(0.8, 0.8) },
  },
  augment: { about: "EDM, images mirrored", options: { process: edmProcess(), flip: true } },
};
