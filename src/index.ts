/**
 * Guidestar: train, guide and sample class-conditional diffusion models.
 *
 * The few lines that most people write need `loadModel`, `sample` and `collect`; or `openDataset` and `trainDenoiser`. Below
 * them is everything those are made of: traced functions, networks, the diffusion process, guidance and samplers.
 */

// Models and pictures
export { type Average, type AverageOptions, averageOfLength } from "./checkpoint/average-folder.ts";
export { type ImportOptions, importNetwork, type NetworkToImport, withoutPrefix } from "./checkpoint/import.ts";
export type { Model, Weights } from "./checkpoint/model.ts";
export { bundledModels, loadModel, type ModelToSave, type SaveOptions, saveModel } from "./checkpoint/model-folder.ts";
export { checkpointFolder } from "./checkpoint/run-folder.ts";
export type { ClassifierRecord, DenoiserRecord, ModelRecord, SamplingDefaults } from "./checkpoint/schema.ts";
// Data and training
export { type Batch, type BatchOptions, batchSequence } from "./data/batches.ts";
export type { Split } from "./data/content.ts";
export { type Dataset, type DatasetOptions, openDataset } from "./data/dataset.ts";
export { type DatasetReport, formatReport, reportOf } from "./data/report.ts";
// Diffusion, guidance, samplers
export {
  type Chain,
  type CoefficientName,
  type Coefficients,
  chainOfLevels,
  coefficientColumns,
  coefficientNames,
  coefficientSpecs,
  coefficients,
  makeChain,
  type ProcessConfig,
} from "./diffusion/chain.ts";
export { type LogNormal, logitNormalTime, logNormalSigma } from "./diffusion/level-sampler.ts";
export { priorBpd, vbTerm } from "./diffusion/likelihood.ts";
export { type LossKind, type LossWeight, minSnrWeight, trainingLoss } from "./diffusion/losses.ts";
export { type NoiseLevel, type NoiseRange, noiseRange } from "./diffusion/noise-level.ts";
export { clipX0, type Prediction, predict, reverseMean } from "./diffusion/prediction.ts";
export { epsFromX0, networkInput, posteriorMean, qSample, x0FromEps } from "./diffusion/process.ts";
export type { ContinuousSchedule } from "./diffusion/process-config.ts";
export { spaceTimesteps } from "./diffusion/respacing.ts";
export { betas, type Schedule, zeroTerminalSnr } from "./diffusion/schedule.ts";
export { score, shiftScore } from "./diffusion/score.ts";
export { energyScore, type SigmaRange, scoreMatchingLoss, sigmaAt } from "./diffusion/score-matching.ts";
export {
  DataError,
  type ErrorCode,
  GuidestarError,
  ModelError,
  RuntimeFailure,
  ShapeError,
  UsageError,
} from "./errors.ts";
export { type Chart, chartSvg } from "./evaluation/chart.ts";
export { type DetectorDeclaration, parseDeclaration } from "./evaluation/detectors/declaration.ts";
export type { Detector, Observation } from "./evaluation/detectors/detector.ts";
export { digitsDetector, digitsReference } from "./evaluation/detectors/digits.ts";
export {
  type FeatureNetwork,
  type NetworkDetectorOptions,
  networkDetector,
} from "./evaluation/detectors/network-detector.ts";
export { type OnnxDetectorOptions, onnxDetector } from "./evaluation/detectors/onnx-detector.ts";
export { type EvaluateOptions, evaluate, type ReferenceSet, type Report } from "./evaluation/evaluate.ts";
export { collectFeatures, type FeatureOptions, type FeatureSet, features, type Images } from "./evaluation/features.ts";
export { featuresFrom, featuresNpz, statisticsFrom, statisticsNpz } from "./evaluation/files.ts";
export { type Bound, type BoundTerm, boundCsv, collectBound } from "./evaluation/likelihood/bound.ts";
export {
  type BoundEvent,
  type BoundOptions,
  type ImageSource,
  variationalBound,
} from "./evaluation/likelihood/likelihood.ts";
// How likely images are to a model, and how good samples are
export type { BootstrapOptions, Estimate } from "./evaluation/metrics/bootstrap.ts";
export { classAccuracy, inceptionScore } from "./evaluation/metrics/class-scores.ts";
export { frechetDistance } from "./evaluation/metrics/frechet.ts";
export { type FrechetErrorOptions, frechetError } from "./evaluation/metrics/frechet-error.ts";
export { type KernelDistanceOptions, kernelDistance } from "./evaluation/metrics/kernel-distance.ts";
export { type Matrix, matrixOf } from "./evaluation/metrics/matrix.ts";
export {
  type PrecisionRecall,
  type PrecisionRecallOptions,
  precisionRecall,
} from "./evaluation/metrics/precision-recall.ts";
export type { EngineOptions } from "./evaluation/metrics/products.ts";
export {
  type Moments,
  moments,
  type Statistics,
  type StatisticsOptions,
  statistics,
} from "./evaluation/metrics/statistics.ts";
// Files of other programs
export { openFile } from "./files/file-source.ts";
export type { LazyTensor } from "./formats/lazy-tensor.ts";
export { readNpz, writeNpz } from "./formats/npz.ts";
export { openSafetensors, readSafetensors, writeSafetensors } from "./formats/safetensors.ts";
export { openTorch, readTorch } from "./formats/torch.ts";
export { autoguidance } from "./guidance/autoguidance.ts";
export {
  type Classifier,
  classifierGradient,
  classifierMean,
  classifierScore,
  logProbability,
  type MeanGuidance,
} from "./guidance/classifier.ts";
export { type ClassifierFreeOptions, classifierFree } from "./guidance/classifier-free.ts";
export { type GuidanceOptions, type GuidedModel, guide } from "./guidance/guide.ts";
export type { Interval } from "./guidance/interval.ts";
export { linear as linearMix, type Mix, plusPlus as cfgPlusPlusMix, rescaled as rescaledMix } from "./guidance/mix.ts";
export {
  type Condition,
  type Denoiser,
  denoiserPredictor,
  type Predictor,
  unconditional,
} from "./guidance/predictor.ts";
export { type Momentum, type Projection, projected as projectedMix } from "./guidance/projected.ts";
export { factorAt, type ScaleSchedule } from "./guidance/schedule.ts";
export { type ScoreNetwork, scorePredictor } from "./guidance/score-network.ts";
export { animationGif, decodeImage } from "./images/decode.ts";
export { type GridOptions, grid, type Image, toUint8 } from "./images/image.ts";
export { encodePng, readPngText } from "./images/png.ts";
export { terminalPreview } from "./images/terminal.ts";
export { type Classifier as ClassifierNetwork, encoderUnet } from "./models/classifier.ts";
// Networks
export type { BackboneConfig, ClassifierConfig, NetworkConfig, Pool, UNetConfig } from "./models/config.ts";
export { classifierPreset, denoiserPreset, type PresetName, presetNames } from "./models/presets.ts";
export { publishedNetworks } from "./models/published.ts";
export { recognise, type Untold } from "./models/recognise.ts";
export { configFromReference, type ReferenceConfig } from "./models/reference.ts";
export { type SuperResUNet, superResUnet } from "./models/super-resolution.ts";
export { type UNet, unet } from "./models/unet.ts";
// Tensors, graphs, programs
export { float32, int32, type NDArray, type Shape } from "./ndarray.ts";
export { adaGN } from "./nn/ada-gn.ts";
export { attentionBlock, attentionPool } from "./nn/attention.ts";
export { groupNorm } from "./nn/group-norm.ts";
export { initialize } from "./nn/initialize.ts";
export { chain, embedding, linear, silu } from "./nn/layers.ts";
export { countParameters, type Module, module, parameter, parameterShapes, zeroInit } from "./nn/module.ts";
export { timestepEmbedding } from "./nn/timestep-embedding.ts";
export { onnxFile } from "./onnx/file.ts";
export { integers, normals, permutation, uniforms } from "./random.ts";
export type { Backend, BackendOptions, Device } from "./runtime/backend.ts";
export { type CompileOptions, compile, type Program } from "./runtime/compile.ts";
export { openBackend } from "./runtime/node.ts";
export { type CascadeEvent, type CascadeOptions, cascade, type UpsamplingOptions } from "./sampling/cascade.ts";
export { ddimReverseStep, ddimStep } from "./sampling/ddim.ts";
export { ddpmStep } from "./sampling/ddpm.ts";
export { type EncodeOptions, encode, reconstructionErrors } from "./sampling/encode.ts";
export { type Exported, type ExportKind, type ExportOptions, exportGraph } from "./sampling/export.ts";
export type { Guidance, SettledGuidance } from "./sampling/guidance.ts";
export { type LangevinOptions, langevinSolver, predictorCorrector } from "./sampling/langevin.ts";
export { type LevelSpacing, type Steps, samplingChain } from "./sampling/levels.ts";
export { parseRunSpec, type RunSpec } from "./sampling/run-spec.ts";
export { collect, type SampleEvent, type SampleOptions, sample } from "./sampling/sample.ts";
export {
  ddim,
  ddpm,
  makeSampler,
  type Sampler,
  type SamplerKind,
  type SamplerSettings,
  solverOf,
} from "./sampling/sampler.ts";
export { type Run, type RunOptions, settle } from "./sampling/settings.ts";
export type { Evaluation, Solver } from "./sampling/solver.ts";
export type { Start } from "./sampling/start.ts";
export type { Step, StepInputs, StepResult } from "./sampling/step.ts";
export { gradients } from "./tensor/gradient.ts";
export {
  averagePool2d,
  concat,
  constant,
  conv2d,
  full,
  oneHot,
  scalar,
  Tensor,
  upsampleNearest2d,
  where,
} from "./tensor/tensor.ts";
export { f32, format, type Graph, i32, type Spec, trace } from "./tensor/trace.ts";
export type { Checkpoint, CheckpointStore } from "./training/checkpoint.ts";
export type { ClassifierOptions } from "./training/classifier.ts";
export type { DenoiserOptions } from "./training/denoiser.ts";
export type { TrainingEvent } from "./training/events.ts";
export {
  type PowerProfile,
  powerEmaWeight,
  powerExponent,
  type Reconstruction,
  reconstruct,
} from "./training/power-ema.ts";
export type { ScoreOptions } from "./training/score.ts";
export { type TrainOptions, trainClassifier, trainDenoiser, trainScore } from "./training/train.ts";
