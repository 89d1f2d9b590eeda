/**
 * Diffusion: processes and their noise schedules, predictors, guidance, samplers, and `draw`, the loop that puts them together. A denoiser
 * is any function of a noisy image and its timestep; guidance maps predictors to predictors; a sampler asks a predictor and knows
 * nothing else.
 *
 * ```ts
 * import { collect, ddpmProcess, draw, heun, scorePredictor } from "guidestar/diffusion";
 * import { openBackend } from "guidestar/node";
 *
 * // Numbers of mean 3 and standard deviation 0.5, each an image of one pixel: their score is a formula.
 * const process = ddpmProcess();
 * const score = (x, sigma) => x.sub(3).div(sigma.square().add(0.5 ** 2).reshape(-1, 1, 1, 1)).neg();
 *
 * await using backend = await openBackend();
 * const { data } = await collect(
 *   draw({
 *     predictor: () => scorePredictor(score, process),
 *     process,
 *     sampler: heun({ steps: 20 }),
 *     shape: [1, 1, 1],
 *     count: 2000,
 *     batchSize: 2000,
 *     backend,
 *   }),
 * );
 * const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
 * const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length;
 * console.log(`mean ${mean.toFixed(1)}, std ${Math.sqrt(variance).toFixed(1)}`); // mean 3.0, std 0.5
 * ```
 *
 * @module guidestar/diffusion
 */

export type { Trajectories } from "../diffusion/consistency.ts";
export {
  type LevelSampling,
  type LogNormal,
  logitNormalTime,
  logNormalSigma,
  type TimestepSampling,
} from "../diffusion/level-sampler.ts";
export { priorBpd, vbTerm } from "../diffusion/likelihood.ts";
export {
  type Losses,
  type LossKind,
  type LossOptions,
  type LossWeight,
  lossWeights,
  minSnrWeight,
  trainingLoss,
  velocityWeight,
} from "../diffusion/losses.ts";
export { type NoiseLevel, type NoiseRange, noiseRange } from "../diffusion/noise-level.ts";
export {
  type CoefficientName,
  type CoefficientRow,
  type Coefficients,
  coefficientColumns,
  coefficientNames,
  coefficientRow,
  coefficientSpecs,
  coefficients,
  type EtaOption,
  type NoiseSchedule,
  noiseSchedule,
  type ProcessConfig,
  scheduleOfLevels,
} from "../diffusion/noise-schedule.ts";
export {
  clipX0,
  type Noised,
  type Output as NetworkOutput,
  type Prediction,
  predict,
  reverseMean,
} from "../diffusion/prediction.ts";
export {
  epsFromX0,
  meanPerImage,
  networkInput,
  perImage,
  posteriorMean,
  qSample,
  x0FromEps,
} from "../diffusion/process.ts";
export {
  type ContinuousSchedule,
  ddpmProcess,
  edmProcess,
  flowProcess,
  type NoiseConfig,
  type ProcessKind,
} from "../diffusion/process-config.ts";
export { spaceTimesteps } from "../diffusion/respacing.ts";
export { betas, type Schedule, zeroTerminalSnr } from "../diffusion/schedule.ts";
export { score, shiftScore } from "../diffusion/score.ts";
export { energyScore, type SigmaRange, scoreMatchingLoss, sigmaAt } from "../diffusion/score-matching.ts";
export { type DrawOptions, type DrawSettings, draw, type SampleEvent } from "../draw/draw.ts";
export type { Place } from "../draw/plan.ts";
export type { Seeds } from "../draw/seeds.ts";
export type { Start } from "../draw/start.ts";
export type { MakePredictor, Varying } from "../draw/step-graph.ts";
export type { Guidance, SettledGuidance } from "../guidance/guidances.ts";
export { type GuidanceOptions, type GuidedModel, type GuideOptions, guide } from "../guidance/guide.ts";
export { autoguidance } from "../guidance/kinds/autoguidance.ts";
export {
  classifierGradient,
  classifierMean,
  classifierScore,
  logProbability,
  type MeanGuidance,
} from "../guidance/kinds/classifier.ts";
export { type ClassifierFreeOptions, classifierFree } from "../guidance/kinds/classifier-free.ts";
export type { Interval } from "../guidance/kinds/interval.ts";
export { type Momentum, type Projection, projected as projectedMix } from "../guidance/kinds/projected.ts";
export { rescaled as rescaledMix } from "../guidance/kinds/rescaled.ts";
export { factorAt, type ScaleSchedule } from "../guidance/kinds/schedule.ts";
export { thresholded } from "../guidance/kinds/threshold.ts";
export { unconditional } from "../guidance/kinds/unconditional.ts";
export { type GuidanceMix, linear as linearMix, plusPlus as cfgPlusPlusMix } from "../guidance/mix.ts";
export {
  type Classifier,
  type Condition,
  type Denoiser,
  denoiserPredictor,
  type Predictor,
  type Scale,
} from "../guidance/predictor.ts";
export { type ScoreNetwork, scorePredictor } from "../guidance/score-network.ts";
export { type LevelSpacing, type Steps, samplingSchedule } from "../samplers/levels.ts";
export { type LinearEvaluation, linearSolver, type Sum } from "../samplers/linear.ts";
export {
  defineSampler,
  registerSampler,
  type Sampler,
  type SamplerDefinition,
  type SamplerMaker,
  type SamplerOptions,
  solverOf,
} from "../samplers/sampler.ts";
export { type AskedSampler, makeSampler, type SamplerKind, type SamplerRecord } from "../samplers/samplers.ts";
export {
  type Evaluation,
  plainPlan,
  type Solver,
  type SolverStep,
  type StepInputs,
  type StepResult,
} from "../samplers/solver.ts";
export { ddim, ddimReverseStep, ddimStep } from "../samplers/solvers/ddim.ts";
export { ddpm, ddpmStep } from "../samplers/solvers/ddpm.ts";
export { dpm2m } from "../samplers/solvers/dpm-2m.ts";
export { dpm2mSde } from "../samplers/solvers/dpm-2m-sde.ts";
export { euler } from "../samplers/solvers/euler.ts";
export { heun } from "../samplers/solvers/heun.ts";
export { langevin } from "../samplers/solvers/langevin.ts";
export { pc as predictorCorrector } from "../samplers/solvers/pc.ts";
export { saSolver } from "../samplers/solvers/sa-solver.ts";
export {
  type CascadeEvent,
  type CascadeOptions,
  type CascadeSettings,
  cascade,
  type UpsamplingOptions,
} from "../sampling/cascade.ts";
export { type EncodeOptions, encode, reconstructionErrors } from "../sampling/encode.ts";
export { type Exported, type ExportKind, type ExportOptions, exportGraph } from "../sampling/export.ts";
export { parseRunSpec, type RunSpec } from "../sampling/run-spec.ts";
export { collect, type SampleOptions, type SampleSettings, sample } from "../sampling/sample.ts";
export { type RunOptions, type RunSettings, type SettledRun, settle } from "../sampling/settings.ts";
export {
  flowTrajectories,
  type SourceOptions,
  type TrajectoryOptions,
  trajectorySource,
} from "../sampling/trajectories.ts";
export {
  choice as choiceSetting,
  number as numberSetting,
  type OpenValues,
  type Range,
  type Setting,
  type SettingOptions,
  type Settings,
  type SettingValues,
  toggle as toggleSetting,
  whole as wholeSetting,
} from "../setting.ts";
