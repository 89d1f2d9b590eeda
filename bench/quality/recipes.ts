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

/** What `train denoiser` did before it chose by the images. */
const before = {
  preset: "small",
  process: ddpmProcess({ variance: "learned-range" }),
  batchSize: 64,
  learningRate: 1e-3,
} as const;

const x0Flow = flowProcess({ prediction: "x0" });
const logitNormal = (mean: number, std: number) => ({ timesteps: { mean, std } }) as const;

/** What others change in one place. */
const patchSmallEdm = { ...before, preset: "patch-small", process: edmProcess(), batchSize: 16 } as const;

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
      ...before,
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
    options: { ...before },
  },
  "small-16": { about: "small, 16 images a step", options: { ...before, batchSize: 16 } },
  "min-snr-16": {
    about: "small-16 without learned variances, min-SNR weights",
    options: { ...before, process: ddpmProcess(), lossWeight: "min-snr", batchSize: 16 },
  },
  "edm-16": { about: "EDM, 16 images a step", options: { ...before, process: edmProcess(), batchSize: 16 } },
  "flow-16": {
    about: "flow, velocity, logit-normal times, 16 images a step",
    options: { ...before, process: flowProcess(), timesteps: "logit-normal", batchSize: 16 },
  },
  "tiny-edm": {
    about: "the least UNet on pixels, EDM, 16 images a step",
    options: { ...before, preset: "tiny", process: edmProcess(), batchSize: 16 },
  },
  "deep-edm": {
    about: "tiny-edm with a fourth resolution",
    options: { ...before, preset: "deep", process: edmProcess(), batchSize: 16 },
  },
  "patch-base-edm": {
    about: "UNet on patches of 2x2 with 1.5 times the channels, EDM, 16 images a step",
    options: { ...before, preset: "patch-base", process: edmProcess(), batchSize: 16 },
  },
  "patch-tiny-edm": {
    about: "UNet on patches of 2x2 (space to depth), the least, EDM, 16 images a step",
    options: { ...before, preset: "patch-tiny", process: edmProcess(), batchSize: 16 },
  },
  "patch-small-edm": {
    about: "UNet on patches of 2x2 (space to depth), EDM, 16 images a step",
    options: patchSmallEdm,
  },
  "pixel-transformer-x0": {
    about: "pixel transformer (JiT) of patches, flow, predicting the image at more noise",
    options: {
      ...before,
      family: "pixel-transformer",
      process: x0Flow,
      lossWeight: "velocity",
      ...logitNormal(0.8, 0.8),
      batchSize: 16,
    },
  },
  "patch-small-edm-immiscible": {
    about: "patch-small-edm, each batch's noise given to the images that it is near to",
    options: { ...patchSmallEdm, immiscible: true },
  },
  "patch-small-edm-augment": {
    about: "patch-small-edm, each change of images with probability 0.12, of which the network is told",
    options: { ...patchSmallEdm, augment: 0.12 },
  },
  "patch-small-edm-ema-999": {
    about: "patch-small-edm, a shorter average of the weights: 0.999",
    options: { ...patchSmallEdm, emaRate: 0.999 },
  },
  "patch-small-edm-dropout-20": {
    about: "patch-small-edm, a fifth of the images without their class",
    options: { ...patchSmallEdm, labelDropout: 0.2 },
  },
  "patch-small-flow": {
    about: "the same, flow, velocity, logit-normal times",
    options: { ...before, preset: "patch-small", process: flowProcess(), timesteps: "logit-normal", batchSize: 16 },
  },
  "patch-small-x0": {
    about: "the same, flow, predicting the image (JiT, arXiv 2511.13720) at more noise",
    options: { ...before, preset: "patch-small", process: x0Flow, ...logitNormal(0.8, 0.8), batchSize: 16 },
  },
  "patch-small-ddpm": {
    about: "the same, cosine chain, eps and learned variances",
    options: { ...before, preset: "patch-small", batchSize: 16 },
  },
};
