import type { Model } from "../src/checkpoint/model.ts";
import { ddpmProcess } from "../src/diffusion/process-config.ts";
import { denoiserPreset } from "../src/models/adm/presets.ts";
import { unet } from "../src/models/adm/unet.ts";
import { initialize } from "../src/nn/initialize.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { collect, sample } from "../src/sampling/sample.ts";
import { trainDenoiser } from "../src/training/train.ts";
import { labels, noise } from "./networks.ts";

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Seconds that each step of sampling takes after the first, which compiles: sixteen digits, classifier-free guidance. */
export async function samplingStep(model: Model, backend: Backend): Promise<number> {
  const seconds: number[] = [];
  let before = 0;
  const seeds = Array.from({ length: 16 }, (_, i) => i);
  for await (const { step } of sample(model, { seeds, guidance: { cfgScale: 2, classifierScale: 0 }, backend })) {
    const now = performance.now() / 1000;
    if (step > 1) seconds.push(now - before);
    before = now;
  }
  return median(seconds);
}

/** Seconds that each step of training takes after the first: the preset "small" on sixteen pictures of the digits' size. */
export async function trainingStep(backend: Backend): Promise<number> {
  const network = unet(
    denoiserPreset("small", { imageShape: [1, 28, 28], classes: 10, nullLabel: true, learnedVariance: true }),
  );
  const seconds: number[] = [];
  let before = 0;
  const events = trainDenoiser({
    backend,
    steps: 6,
    network,
    weights: () => initialize(network, 1),
    process: ddpmProcess({ variance: "learned-range" }),
    batchAt: (step) => ({ x: noise([16, 1, 28, 28], step), y: labels }),
    seed: 1,
    classes: 10,
    labelDropout: 0.1,
    maxGradientNorm: 1,
  });
  for await (const event of events) {
    if (event.kind !== "step") continue;
    const now = performance.now() / 1000;
    if (event.step > 1) seconds.push(now - before);
    before = now;
  }
  return median(seconds);
}

/** One digit, as a page draws it that is opened. */
export const firstPicture = (model: Model, backend: Backend) =>
  collect(sample(model, { labels: [3], seeds: [7], backend }));
