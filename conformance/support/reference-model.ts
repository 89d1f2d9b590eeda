import { readFileSync } from "node:fs";
import type { Model } from "../../src/checkpoint/model.ts";
import type { ProcessConfig } from "../../src/diffusion/process-config.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { configFromGuidedDiffusion, type GuidedDiffusionConfig } from "../../src/models/adm/guided-diffusion.ts";

/** Bytes of a file that the reference wrote. */
export const file = (name: string): Buffer => readFileSync(new URL(`../data/${name}`, import.meta.url));

/** The reference's own description of a network, as ours. */
const networkOf = (name: string) =>
  configFromGuidedDiffusion(
    (JSON.parse(file("networks.json").toString()) as Record<string, GuidedDiffusionConfig>)[name]!,
  );

/** A process of the reference. */
export interface Noise {
  readonly schedule: ProcessConfig["schedule"];
  readonly steps: number;
  readonly rescale_timesteps?: boolean;
}

/**
 * Networks of the reference as a model of ten classes, 3x16x16: the denoiser `unet_adm` and its classifier, or the upsampler
 * `unet_superres`, which makes 8x8 twice as large.
 */
export function referenceModel(
  { schedule, steps, rescale_timesteps: rescaleTimesteps = false }: Noise,
  name: "unet_adm" | "unet_superres" = "unet_adm",
): Model {
  const upsamples = name === "unet_superres";
  const [denoiser, classifier] = [networkOf(name), networkOf("classifier_attention")];
  if (denoiser.kind === "adm-classifier" || classifier.kind !== "adm-classifier")
    throw new Error("unexpected networks");
  const noise = { schedule, steps, rescaleTimesteps };
  const saved = { file: "x.safetensors", sha256: "", parameters: 1 };
  return {
    format: "guidestar-model-2",
    source: "reference",
    classes: Array.from({ length: 10 }, (_, label) => `class ${label}`),
    imageShape: [3, 16, 16],
    preprocessing: {},
    denoiser: {
      ...denoiser,
      config: upsamples ? { ...denoiser.config, lowResolution: 8 } : denoiser.config,
      process: { ...noise, prediction: "eps", variance: "learned-range" },
      ...saved,
    },
    ...(!upsamples && { classifier: { ...classifier, process: noise, ...saved } }),
    weights: {
      denoiser: readTorch(file(`${name}.pt`)),
      ...(!upsamples && { classifier: readTorch(file("classifier_attention.pt")) }),
    },
  };
}
