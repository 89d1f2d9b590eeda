import type { ModelToSave } from "../../checkpoint/model-folder.ts";
import type { ClassifierRecord, ModelRecord } from "../../checkpoint/schema.ts";
import { batchSequence } from "../../data/batches.ts";
import type { Dataset } from "../../data/dataset.ts";
import { checkProcess } from "../../diffusion/process-config.ts";
import { encoderUnet } from "../../models/classifier.ts";
import { classifierPreset, denoiserPreset } from "../../models/presets.ts";
import { unet } from "../../models/unet.ts";
import { initialize } from "../../nn/initialize.ts";
import { countParameters, type Network } from "../../nn/module.ts";
import { normals, uniforms } from "../../random.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import type { TrainingEvent, Weights } from "../../training/events.ts";
import { type TrainOptions, trainClassifier, trainDenoiser } from "../../training/train.ts";
import type { ClassifierValues } from "../commands/train-classifier.ts";
import type { DenoiserValues } from "../commands/train-denoiser.ts";
import { usualMicroBatch } from "../commands/train-options.ts";

/** What is to be trained, with all choices made. */
export interface Job {
  readonly parameters: number;
  readonly process: Noise;
  start(options: TrainOptions): AsyncGenerator<TrainingEvent, void, undefined>;
  /** The model with these weights; `training` is its record of how it came about. */
  model(weights: Weights, training: JsonObject): ModelToSave;
}

type Common = Pick<DenoiserValues, keyof DenoiserValues & keyof ClassifierValues>;

/** Options of the loop that come from the command line. */
const loopOptions = (values: Common) => ({
  learningRate: values.learningRate,
  warmUpSteps: values.warmUp ?? Math.min(200, Math.floor(values.steps / 10)),
  decay: values.decay,
  ema: { rate: values.ema },
});

function dataOptions(values: Common, { train, imageShape }: Dataset) {
  const { batch: batchSize, microBatch = usualMicroBatch[values.preset], seed, flip, crop, clipGradient } = values;
  return {
    batchAt: batchSequence(train, { batchSize, seed, flip, crop }),
    batchSize,
    microBatch: Math.min(microBatch, batchSize),
    imageShape,
    seed,
    ...(clipGradient > 0 && { maxGradientNorm: clipGradient }),
  };
}

const startingWeights = (network: Network, seed: number): Weights =>
  initialize(network, {
    uniforms: (stream, count) => uniforms(seed, stream, count),
    normals: (stream, count) => normals(seed, stream, count),
  });

const describe = ({ size }: Common, { classes, imageShape }: Dataset, existing: ModelRecord | undefined) => ({
  classes,
  imageShape,
  preprocessing: size === undefined ? (existing?.preprocessing ?? {}) : { size },
});

/** What of a process a classifier knows too. */
type Noise = ClassifierRecord["process"];

/** The noise that is asked for, else that of the model that the network will join. */
function noiseOf(values: Common, existing: ModelRecord | undefined): Noise {
  const process = existing?.denoiser?.process ?? existing?.classifier?.process;
  const zeroTerminalSnr = values.zeroTerminalSnr || process?.zeroTerminalSnr;
  return {
    schedule: values.schedule ?? process?.schedule ?? "cosine",
    steps: values.noiseSteps ?? process?.steps ?? 1000,
    ...(zeroTerminalSnr && { zeroTerminalSnr }),
    rescaleTimesteps: process?.rescaleTimesteps ?? false,
  };
}

export function denoiserJob(values: DenoiserValues, dataset: Dataset, existing: ModelRecord | undefined): Job {
  const { preset, loss, lossWeight, prediction, timesteps, dropoutLabel, seed } = values;
  const { classes, imageShape } = dataset;
  const process = {
    ...noiseOf(values, existing),
    prediction,
    variance: loss === "simple" ? "fixedSmall" : "learnedRange",
  } as const;
  checkProcess(process);
  const config = denoiserPreset(preset, {
    imageShape,
    classes: classes.length,
    learnedVariance: loss !== "simple",
    nullLabel: dropoutLabel > 0,
  });
  const network = unet(config);
  return {
    parameters: countParameters(network),
    process,
    start: (options) =>
      trainDenoiser({
        ...dataOptions(values, dataset),
        ...loopOptions(values),
        network,
        weights: startingWeights(network, seed),
        process,
        loss: ({ hybrid: "rescaledMse", simple: "mse", bound: "rescaledKl" } as const)[loss],
        lossWeight: lossWeight === "min-snr" ? "minSnr" : "none",
        timesteps: timesteps === "uniform" ? timesteps : "lossSecondMoment",
        classes: classes.length,
        labelDropout: dropoutLabel,
        ...options,
      }),
    model: (weights, training) => ({
      ...describe(values, dataset, existing),
      denoiser: { record: { config, process, training }, weights },
    }),
  };
}

export function classifierJob(values: ClassifierValues, dataset: Dataset, existing: ModelRecord | undefined): Job {
  const { classes, imageShape } = dataset;
  const noise = noiseOf(values, existing);
  const config = classifierPreset(values.preset, { imageShape, classes: classes.length });
  const network = encoderUnet(config);
  return {
    parameters: countParameters(network),
    process: noise,
    start: (options) =>
      trainClassifier({
        ...dataOptions(values, dataset),
        ...loopOptions(values),
        weightDecay: values.weightDecay,
        network,
        weights: startingWeights(network, values.seed),
        // What denoisers predict is nothing to a classifier.
        process: { ...noise, prediction: "eps", variance: "fixedSmall" },
        ...options,
      }),
    model: (weights, training) => ({
      ...describe(values, dataset, existing),
      classifier: { record: { config, process: noise, training }, weights },
    }),
  };
}
