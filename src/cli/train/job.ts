import type { ModelToSave } from "../../checkpoint/model-folder.ts";
import type { ClassifierRecord, ModelRecord } from "../../checkpoint/schema.ts";
import { batchSequence } from "../../data/batches.ts";
import type { Dataset } from "../../data/dataset.ts";
import { logitNormalTime, logNormalSigma } from "../../diffusion/level-sampler.ts";
import { checkProcess } from "../../diffusion/process-config.ts";
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
  warmUpSteps: values.warmUp ?? Math.min(200, Math.floor(values.steps / 10)),
  decay: values.decay,
  emaRate: values.ema,
});

function dataOptions(values: Common, { train }: Dataset) {
  const { batch: batchSize, microBatch = usualMicroBatch(values.preset), seed, flip, crop, clipGradient } = values;
  return {
    batchAt: batchSequence(train, { batchSize, seed, flip, crop }),
    microBatch: Math.min(microBatch, batchSize),
    seed,
    ...(clipGradient > 0 && { maxGradientNorm: clipGradient }),
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
  const kind = values.process ?? (known ? kindOf(known) : "ddpm");
  if (values.schedule && kind !== "ddpm")
    throw new UsageError(`--schedule is for --process ddpm, but the process is ${kind}; leave it out`);
  // Of a model with another kind of noise nothing is taken over.
  const old = known && kindOf(known) === kind ? known : undefined;
  const zeroTerminalSnr = values.zeroTerminalSnr || old?.zeroTerminalSnr;
  const dataDeviation = values.dataDeviation ?? old?.dataDeviation;
  return {
    schedule: schedules[kind] ?? values.schedule ?? old?.schedule ?? "cosine",
    steps: values.noiseSteps ?? old?.steps ?? 1000,
    ...(zeroTerminalSnr && { zeroTerminalSnr }),
    ...(old?.sigmaRange && { sigmaRange: old.sigmaRange }),
    ...(dataDeviation !== undefined && { dataDeviation }),
    rescaleTimesteps: old?.rescaleTimesteps ?? false,
  };
}

/** Schedules of the kinds of noise that have one only. */
const schedules = { ddpm: undefined, flow: "flow", edm: "exploding" } as const;
type Kind = keyof typeof schedules;
const kindOf = ({ schedule }: Pick<Noise, "schedule">): Kind =>
  schedule === "flow" ? "flow" : schedule === "exploding" ? "edm" : "ddpm";

/** What is usual for each kind of noise, where it is not asked for. */
const usual = {
  ddpm: { loss: "hybrid", prediction: "eps", timesteps: "uniform" },
  flow: { loss: "simple", prediction: "velocity", timesteps: "uniform" },
  edm: { loss: "simple", prediction: "edm", timesteps: "log-normal" },
} as const;

const timestepsOf = {
  uniform: "uniform",
  "loss-second-moment": "loss-second-moment",
  "log-normal": logNormalSigma,
  "logit-normal": logitNormalTime,
} as const;

/** Those of the values that were asked for. */
const given = ({ loss, prediction, timesteps }: DenoiserValues) => ({
  ...(loss && { loss }),
  ...(prediction && { prediction }),
  ...(timesteps && { timesteps }),
});

export function denoiserJob(values: DenoiserValues, dataset: Dataset, existing: ModelRecord | undefined): Job {
  const { lossWeight, dropoutLabel, seed, powerEma } = values;
  const { classes, imageShape } = dataset;
  const noise = noiseOf(values, existing);
  const { loss, prediction, timesteps } = { ...usual[kindOf(noise)], ...given(values) };
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
    nullLabel: dropoutLabel > 0,
  });
  return {
    parameters: countParameters(network),
    process,
    start: (options) =>
      trainDenoiser({
        ...dataOptions(values, dataset),
        ...loopOptions(values),
        network: (params, x, t, label) => network(params, x, t, { label }),
        weights: initialize(network, seed),
        process,
        loss: ({ hybrid: "rescaledMse", simple: "mse", bound: "rescaledKl" } as const)[loss],
        lossWeight: lossWeight === "min-snr" ? "minSnr" : "none",
        timesteps: timestepsOf[timesteps],
        powerEma,
        classes: classes.length,
        labelDropout: dropoutLabel,
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
