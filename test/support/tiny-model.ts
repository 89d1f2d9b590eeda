import type { Model, ModelToSave, NetworkToSave, Weights } from "../../src/checkpoint/model.ts";
import type { ClassifierRecord, DenoiserRecord } from "../../src/checkpoint/schema.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import type { ClassifierConfig, SuperResolutionConfig, UNetConfig } from "../../src/models/adm/config.ts";
import { type NetworkDescription, networkOf } from "../../src/models/families.ts";
import type { NetworkRole } from "../../src/models/family.ts";
import { float32, sizeOf } from "../../src/ndarray.ts";
import { parameterShapes } from "../../src/nn/module.ts";
import { normals } from "../../src/random.ts";

const backbone = {
  imageSize: 8,
  inChannels: 1,
  modelChannels: 8,
  numResBlocks: 1,
  attentionResolutions: [],
  channelMult: [1, 2],
  normGroups: 4,
};
const unet: UNetConfig = { ...backbone, outChannels: 2, numClasses: 3, nullLabel: true };
const encoder: ClassifierConfig = { ...backbone, outChannels: 3, pool: "attention" };
const denoiser = { kind: "adm-unet", config: unet };
const classifier = { kind: "adm-classifier", config: encoder };

/** Random weights, also where training would start at zero: an untrained network would answer zero to everything. */
export const randomWeights = (role: NetworkRole, network: NetworkDescription, seed: number): Weights =>
  Object.fromEntries(
    Object.entries(parameterShapes(networkOf(role, network))).map(([key, shape], stream) => [
      key,
      float32(
        shape,
        normals(seed, stream, sizeOf(shape)).map((value) => 0.2 * value),
      ),
    ]),
  );

type Facts = Omit<ModelToSave, "sampling" | "denoiser" | "classifier">;
type WithConfig<R, Config> = NetworkToSave<R & { readonly config: Config }>;

/** A denoiser and a classifier of 8x8 grey images of three classes. */
export function tinyModel(): Facts & {
  denoiser: WithConfig<DenoiserRecord, UNetConfig>;
  classifier: WithConfig<ClassifierRecord, ClassifierConfig>;
} {
  const process = ddpmProcess({ steps: 20, variance: "learned-range" });
  const { prediction: _, variance: __, ...noise } = process;
  return {
    classes: ["circle", "square", "star"],
    imageShape: [1, 8, 8],
    preprocessing: { size: 8 },
    denoiser: { record: { ...denoiser, process }, weights: randomWeights("denoiser", denoiser, 1) },
    classifier: { record: { ...classifier, process: noise }, weights: randomWeights("classifier", classifier, 2) },
  };
}

/** An upsampler of the pictures of `tinyModel`, from 8x8 to 16x16; it knows their classes, but no null label. */
export function tinyUpsampler(): Facts & { denoiser: WithConfig<DenoiserRecord, SuperResolutionConfig> } {
  const { nullLabel: _, ...known } = unet;
  const config: SuperResolutionConfig = { ...known, imageSize: 16, lowResolution: 8 };
  const upsampler = { kind: "adm-super-resolution", config };
  const { denoiser, classifier: __, ...model } = tinyModel();
  return {
    ...model,
    imageShape: [1, 16, 16],
    preprocessing: { size: 16 },
    denoiser: {
      record: { ...upsampler, process: { ...denoiser.record.process, schedule: "linear", steps: 25 } },
      weights: randomWeights("denoiser", upsampler, 3),
    },
  };
}

/** A model whose networks are of the ADM family. */
export type AdmModel = Model & {
  readonly denoiser?: { readonly config: UNetConfig };
  readonly classifier?: { readonly config: ClassifierConfig };
};

const saved = { file: "x.safetensors", sha256: "", parameters: 1 };

/** The same as if it had been loaded. */
export function loadedTinyUpsampler(): AdmModel {
  const { denoiser, ...model } = tinyUpsampler();
  return {
    ...model,
    format: "guidestar-model-2",
    source: "large",
    denoiser: { ...denoiser.record, ...saved },
    weights: { denoiser: denoiser.weights },
  };
}

/** The same as if it had been loaded. */
export function loadedTinyModel(): AdmModel {
  const { denoiser, classifier, ...model } = tinyModel();
  return {
    ...model,
    format: "guidestar-model-2",
    source: "tiny",
    denoiser: { ...denoiser.record, ...saved },
    classifier: { ...classifier.record, ...saved },
    weights: { denoiser: denoiser.weights, classifier: classifier.weights },
  };
}
