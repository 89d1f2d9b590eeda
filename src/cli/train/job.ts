import type { ModelToSave } from "../../checkpoint/model-folder.ts";
import type { ClassifierRecord, ModelRecord } from "../../checkpoint/schema.ts";
import { batchSequence } from "../../data/batches.ts";
import type { Dataset } from "../../data/dataset.ts";
import { checkProcess, processKind } from "../../diffusion/process-config.ts";
import { UsageError } from "../../errors.ts";
import { initialize } from "../../nn/initialize.ts";
import { countParameters } from "../../nn/module.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import type { TrainingEvent, Weights } from "../../training/events.ts";
import { type TrainOptions, trainClassifier, trainDenoiser } from "../../training/train.ts";
import type { ClassifierValues } from "../commands/train-classifier.ts";
import type { DenoiserValues } from "../commands/train-denoiser.ts";
import { usualMicroBatch } from "../commands/train-options.ts";
import { chooseClassifier, chooseDenoiser } from "./network.ts";

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
  warmUpSteps: values.warmUpSteps ?? Math.min(200, Math.floor(values.steps / 10)),
  decay: values.decay,
  emaRate: values.emaRate,
});

function dataOptions(values: Common, { train }: Dataset) {
  const { batchSize, microBatch = usualMicroBatch(values.preset), seed, flip, crop, maxGradientNorm } = values;
  return {
    batchAt: batchSequence(train, { batchSize, seed, flip, crop }),
    microBatch: Math.min(microBatch, batchSize),
    seed,
    ...(maxGradientNorm > 0 && { maxGradientNorm }),
  };
}

const describe = ({ size }: Common, { classes, imageShape }: Dataset, existing: ModelRecord | undefined) => ({
  classes,
  imageShape,
  preprocessing: size === undefined ? (existing?.preprocessing ?? {}) : { size },
});

/** What of a process a classifier knows too. */
type Noise = ClassifierRecord["process"];

/** The noise that is asked for, else that of the model that the network will join. */
function noiseOf(values: Common, existing: ModelRecord | undefined): Noise {
  const known = existing?.denoiser?.process ?? existing?.classifier?.process;
  const kind = values.process ?? (known ? processKind(known) : "ddpm");
  if (values.schedule && kind !== "ddpm")
    throw new UsageError(`--schedule is for --process ddpm, but the process is ${kind}; leave it out`);
  // Of a model with another kind of noise nothing is taken over.
  const old = known && processKind(known) === kind ? known : undefined;
  const zeroTerminalSnr = values.zeroTerminalSnr || old?.zeroTerminalSnr;
  const sigmaData = values.sigmaData ?? old?.sigmaData;
  return {
    schedule: kind === "ddpm" ? (values.schedule ?? old?.schedule ?? "cosine") : kind,
    steps: values.diffusionSteps ?? old?.steps ?? 1000,
    ...(zeroTerminalSnr && { zeroTerminalSnr }),
    ...(old?.sigmaRange && { sigmaRange: old.sigmaRange }),
    ...(sigmaData !== undefined && { sigmaData }),
    rescaleTimesteps: old?.rescaleTimesteps ?? false,
  };
}

/** What is usual for each kind of noise, where it is not asked for. */
const usual = {
  ddpm: { loss: "hybrid", prediction: "eps", timesteps: "uniform" },
  flow: { loss: "simple", prediction: "velocity", timesteps: "uniform" },
  edm: { loss: "simple", prediction: "edm", timesteps: "log-normal" },
} as const;

/** Those of the values that were asked for. */
const given = ({ loss, prediction, timesteps }: DenoiserValues) => ({
  ...(loss && { loss }),
  ...(prediction && { prediction }),
  ...(timesteps && { timesteps }),
});

export function denoiserJob(values: DenoiserValues, dataset: Dataset, existing: ModelRecord | undefined): Job {
  const { lossWeight, vlbWeight, labelDropout, seed, powerEma } = values;
  const { classes, imageShape } = dataset;
  const noise = noiseOf(values, existing);
  const { loss, prediction, timesteps } = { ...usual[processKind(noise)], ...given(values) };
  const process = {
    ...noise,
    prediction,
    variance: loss === "simple" ? "fixedSmall" : "learnedRange",
  } as const;
  checkProcess(process);
  const { description, network } = chooseDenoiser(values, {
    imageShape,
    classes: classes.length,
    learnedVariance: loss !== "simple",
    nullLabel: labelDropout > 0,
  });
  return {
    parameters: countParameters(network),
    process,
    start: (options) =>
      trainDenoiser({
        ...dataOptions(values, dataset),
        ...loopOptions(values),
        network,
        weights: initialize(network, seed),
        process,
        loss,
        lossWeight,
        vlbWeight,
        timesteps,
        powerEma,
        classes: classes.length,
        labelDropout,
        ...options,
      }),
    model: (weights, training) => ({
      ...describe(values, dataset, existing),
      denoiser: { record: { ...description, process, training }, weights },
    }),
  };
}

export function classifierJob(values: ClassifierValues, dataset: Dataset, existing: ModelRecord | undefined): Job {
  const { classes, imageShape } = dataset;
  const noise = noiseOf(values, existing);
  const { description, network } = chooseClassifier(values, { imageShape, classes: classes.length });
  return {
    parameters: countParameters(network),
    process: noise,
    start: (options) =>
      trainClassifier({
        ...dataOptions(values, dataset),
        ...loopOptions(values),
        weightDecay: values.weightDecay,
        network,
        weights: initialize(network, values.seed),
        // What denoisers predict is nothing to a classifier.
        process: { ...noise, prediction: "x0", variance: "fixedSmall" },
        ...options,
      }),
    model: (weights, training) => ({
      ...describe(values, dataset, existing),
      classifier: { record: { ...description, process: noise, training }, weights },
    }),
  };
}
