import { type Model, networkShapes, type Weights } from "../../src/checkpoint/model.ts";
import type { ModelToSave } from "../../src/checkpoint/model-folder.ts";
import type { ClassifierConfig, UNetConfig } from "../../src/models/config.ts";
import { float32, sizeOf } from "../../src/ndarray.ts";
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
const classifier: ClassifierConfig = { ...backbone, outChannels: 3, pool: "attention" };

/** Random weights, also where training would start at zero: an untrained network would answer zero to everything. */
const weightsOf = (network: Parameters<typeof networkShapes>[0], seed: number): Weights =>
  Object.fromEntries(
    Object.entries(networkShapes(network)).map(([key, shape], stream) => [
      key,
      float32(
        shape,
        normals(seed, stream, sizeOf(shape)).map((value) => 0.2 * value),
      ),
    ]),
  );

/** A denoiser and a classifier of 8x8 grey images of three classes. */
export function tinyModel(): Required<Omit<ModelToSave, "sampling">> {
  const process = {
    schedule: "cosine",
    steps: 20,
    prediction: "eps",
    variance: "learnedRange",
    rescaleTimesteps: false,
  } as const;
  const { prediction: _, variance: __, ...noise } = process;
  return {
    classes: ["circle", "square", "star"],
    imageShape: [1, 8, 8],
    preprocessing: { size: 8 },
    denoiser: { record: { config: unet, process }, weights: weightsOf({ name: "denoiser", config: unet }, 1) },
    classifier: {
      record: { config: classifier, process: noise },
      weights: weightsOf({ name: "classifier", config: classifier }, 2),
    },
  };
}

/** An upsampler of the pictures of `tinyModel`, from 8x8 to 16x16; it knows their classes, but no null label. */
export function tinyUpsampler(): Omit<ModelToSave, "sampling" | "classifier"> &
  Required<Pick<ModelToSave, "denoiser">> {
  const { nullLabel: _, ...known } = unet;
  const config: UNetConfig = { ...known, imageSize: 16 };
  const lowResolution = 8;
  const { denoiser, classifier: __, ...model } = tinyModel();
  return {
    ...model,
    imageShape: [1, 16, 16],
    preprocessing: { size: 16 },
    denoiser: {
      record: { config, lowResolution, process: { ...denoiser.record.process, schedule: "linear", steps: 25 } },
      weights: weightsOf({ name: "denoiser", config, lowResolution }, 3),
    },
  };
}

const saved = { file: "x.safetensors", sha256: "", parameters: 1 };

/** The same as if it had been loaded. */
export function loadedTinyUpsampler(): Model {
  const { denoiser, ...model } = tinyUpsampler();
  return {
    ...model,
    format: "guidestar-model-1",
    source: "large",
    denoiser: { ...denoiser.record, ...saved },
    weights: { denoiser: denoiser.weights },
  };
}

/** The same as if it had been loaded. */
export function loadedTinyModel(): Model {
  const { denoiser, classifier, ...model } = tinyModel();
  return {
    ...model,
    format: "guidestar-model-1",
    source: "tiny",
    denoiser: { ...denoiser.record, ...saved },
    classifier: { ...classifier.record, ...saved },
    weights: { denoiser: denoiser.weights, classifier: classifier.weights },
  };
}
