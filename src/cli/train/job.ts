import type { ModelToSave } from "../../checkpoint/model.ts";
import type { ModelRecord } from "../../checkpoint/schema.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { ProcessConfig } from "../../diffusion/noise-schedule.ts";
import {
  ddpmProcess,
  edmProcess,
  flowProcess,
  isContinuous,
  learnsVariance,
  type NoiseConfig,
  noiseOf,
  processKind,
} from "../../diffusion/process-config.ts";
import { UsageError } from "../../errors.ts";
import type { Transfer } from "../../models/transfer.ts";
import type { Shape } from "../../ndarray.ts";
import { countParameters, type Network, parameterShapes } from "../../nn/module.ts";
import { classifierRecipe } from "../../recipes/classifier.ts";
import { denoiserRecipe } from "../../recipes/denoiser.ts";
import type { StartingModel } from "../../recipes/fine-tuning.ts";
import type { SettledOptions } from "../../recipes/recipe.ts";
import { countFlops } from "../../tensor/cost.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { f32, i32, input } from "../../tensor/trace.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import type { TrainingEvent, Weights } from "../../training/events.ts";
import { type TrainOptions, trainClassifier, trainDenoiser } from "../../training/train.ts";
import type { ClassifierValues } from "./classifier.ts";
import type { DenoiserValues } from "./denoiser.ts";

/** What is to be trained, with all choices made. */
export interface Job {
  /** What is taken over of the model that it begins with. */
  readonly transfer?: Transfer | undefined;
  readonly parameters: number;
  readonly process: NoiseConfig;
  /** Floating-point operations that training takes for one image. */
  flops(): number;
  /** What it learns from, and is measured on. */
  readonly dataset: Dataset;
  /** Images in memory at once. */
  readonly microBatch: number;
  /** What was chosen of what was left open. */
  readonly settled: SettledOptions;
  start(options: TrainOptions): AsyncGenerator<TrainingEvent, void, undefined>;
  /** The model with these weights; `training` is its record of how it came about. */
  model(weights: Weights, training: JsonObject): ModelToSave;
}

type Common = Pick<DenoiserValues, keyof DenoiserValues & keyof ClassifierValues>;

/** What a network is trained beside, and begins with. */
export interface Beside {
  /** The model in the folder, which it joins. */
  readonly existing: ModelRecord | undefined;
  /** The model that it begins with. */
  readonly from: StartingModel | undefined;
  /** Does the run go on that a checkpoint is of? Then nothing is left open. */
  readonly resumed: boolean;
}

/** Is nothing asked of the noise, and nothing known of it? Then it is the usual one for the images. */
const isOpen = (values: Common & Partial<DenoiserValues>, { existing, from, resumed }: Beside): boolean => {
  const { process, schedule, zeroTerminalSnr, diffusionSteps, sigmaData } = values;
  const { prediction, loss, lossWeight = "none", vlbWeight, timesteps } = values;
  const asked = [process, schedule, diffusionSteps, sigmaData, prediction, loss, vlbWeight, timesteps];
  const isAsked = zeroTerminalSnr || lossWeight !== "none" || asked.some((value) => value !== undefined);
  return !isAsked && !resumed && !from && !existing?.denoiser && !existing?.classifier;
};

/** A denoiser that the options ask for, on the noise of the model in the folder where they ask for none. */
export function denoiserJob(values: DenoiserValues, dataset: Dataset, beside: Beside): Job {
  const { existing, from } = beside;
  const { loss, lossWeight, vlbWeight, timesteps, labelDropout, immiscible, augment, powerEma, until } = values;
  const process = isOpen(values, beside) ? undefined : denoiserProcess(values, existing, from);
  const recipe = denoiserRecipe({
    ...commonOptions(values, dataset),
    from,
    process,
    lossWeight,
    vlbWeight,
    timesteps,
    labelDropout,
    immiscible,
    augment,
    powerEma,
    until,
    ...(loss && { loss }),
  });
  const { network, training, model, transfer, settled, images } = recipe;
  return {
    transfer,
    dataset: { ...dataset, ...images },
    parameters: countParameters(network),
    process: training.process,
    microBatch: training.microBatch!,
    settled,
    flops: () =>
      trainingFlops(network, dataset.imageShape, (parameters, x, t) =>
        network(parameters, x, t, training.classes === undefined ? {} : { label: input("y", i32(1)) }),
      ),
    start: (options) => trainDenoiser({ ...training, ...options }),
    model,
  };
}

/** The same for a classifier. */
export function classifierJob(values: ClassifierValues, dataset: Dataset, beside: Beside): Job {
  const { existing, from } = beside;
  const known = existing?.denoiser?.process ?? existing?.classifier?.process ?? from?.classifier?.process;
  const process = isOpen(values, beside) ? undefined : processOf(values, known);
  const { weightDecay } = values;
  const recipe = classifierRecipe({ ...commonOptions(values, dataset), from, process, weightDecay });
  const { network, training, model, transfer, settled, images } = recipe;
  return {
    transfer,
    dataset: { ...dataset, ...images },
    parameters: countParameters(network),
    process: noiseOf(training.process),
    microBatch: training.microBatch!,
    settled,
    flops: () => trainingFlops(network, dataset.imageShape, network),
    start: (options) => trainClassifier({ ...training, ...options }),
    model,
  };
}

/** Options that the recipes of both take. */
const commonOptions = (values: Common, dataset: Dataset) => {
  const { family, preset, steps, minutes, batchSize, microBatch, seed, flip, crop, classBalance, warmUpSteps } = values;
  const { learningRate, decay, maxGradientNorm, emaRate, heldOut } = values;
  return {
    ...{
      dataset,
      heldOut,
      family,
      preset,
      steps,
      batchSize,
      seed,
      flip,
      crop,
      classBalance,
      decay,
      maxGradientNorm,
      emaRate,
    },
    ...(learningRate !== undefined && { learningRate }),
    ...(minutes !== undefined && { minutes }),
    ...(microBatch !== undefined && { microBatch }),
    ...(warmUpSteps !== undefined && { warmUpSteps }),
  };
};

const usualProcess = { ddpm: ddpmProcess, flow: flowProcess, edm: edmProcess } as const;

/** The process that is asked for; what is not asked for is as in a known one, else as usual. */
function processOf(values: Common, known: NoiseConfig | undefined): ProcessConfig {
  const kind = values.process ?? (known ? processKind(known) : "ddpm");
  const { schedule, diffusionSteps: steps, zeroTerminalSnr, sigmaData } = values;
  if (schedule && kind !== "ddpm")
    throw new UsageError(`--schedule is for --process ddpm, but the process is ${kind}; leave it out`);
  return {
    ...usualProcess[kind](),
    // Of a model with another kind of noise nothing is taken over.
    ...(known && processKind(known) === kind && noiseOf(known)),
    ...(schedule && { schedule }),
    ...(steps !== undefined && { steps }),
    ...(zeroTerminalSnr && { zeroTerminalSnr }),
    ...(sigmaData !== undefined && { sigmaData }),
  };
}

/**
 * The same for a denoiser: with what the network predicts. Noise is that of the model that it will join, else of the one that it begins with;
 * prediction and variance are as there where the noise is of one kind. Which variance it has is a matter of the loss.
 */
function denoiserProcess(
  values: DenoiserValues,
  existing: ModelRecord | undefined,
  from: StartingModel | undefined,
): ProcessConfig {
  const start = from?.denoiser?.process;
  const process = processOf(values, existing?.denoiser?.process ?? existing?.classifier?.process ?? start);
  const followed = start && processKind(start) === processKind(process) ? start : undefined;
  const usual = isContinuous(process) || (followed && !learnsVariance(followed)) ? "simple" : "hybrid";
  const { prediction = followed?.prediction, loss = usual } = values;
  const learned = followed && learnsVariance(followed) ? followed.variance : "learned-range";
  const fixed = followed && !learnsVariance(followed) ? followed.variance : "fixed-small";
  return {
    ...process,
    ...(prediction && { prediction }),
    variance: loss === "simple" ? fixed : learned,
  };
}

/**
 * Operations that training takes for one image: of `apply`, from parameters, x [1, C, H, W] and t [1], three times over, for gradients
 * cost two more.
 */
function trainingFlops(
  network: Network,
  imageShape: Shape,
  apply: (parameters: Record<string, Tensor>, x: Tensor, t: Tensor) => Tensor,
): number {
  const shapes = Object.entries(parameterShapes(network));
  const parameters = Object.fromEntries(shapes.map(([name, shape]) => [name, input(name, f32(...shape))]));
  return 3 * countFlops([apply(parameters, input("x", f32(1, ...imageShape)), input("t", f32(1)))]);
}
