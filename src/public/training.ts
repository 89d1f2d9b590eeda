/**
 * Training: a task says what is learnt (weights, batches and a loss), `train` is the loop, an async iterable of events. The tasks of the
 * literature are here, and what they are made of.
 *
 * ```ts
 * import { openBackend } from "guidestar/node";
 * import { float32, normals } from "guidestar/tensor";
 * import { train, trained } from "guidestar/training";
 *
 * // The slope of y = 3 x, from 32 points for each update.
 * const line = {
 *   weights: { slope: float32([1]) },
 *   batchAt: (step) => ({ x: float32([32], normals(step, 0, 32)) }),
 *   loss: ({ slope }, { x }) => ({ objective: slope.mul(x).sub(x.mul(3)).square() }),
 * };
 *
 * await using backend = await openBackend();
 * const { slope } = await trained(train(line, { backend, steps: 300, learningRate: 0.05, emaRate: 0.9 }));
 * console.log(slope.data[0].toFixed(2)); // 3.00
 * ```
 *
 * @module guidestar/training
 */

export { type Batch, type BatchOptions, batchSequence, imagesAt } from "../data/batches.ts";
export type { Split } from "../data/content.ts";
export { type HeldOut, type HoldOutOptions, holdOut } from "../data/hold-out.ts";
export { type ClassifierRecipeOptions, classifierRecipe } from "../recipes/classifier.ts";
export { type DenoiserRecipeOptions, denoiserRecipe } from "../recipes/denoiser.ts";
export {
  type DetectorRecipe,
  type DetectorRecipeOptions,
  detectorPreset,
  detectorRecipe,
  detectorSteps,
} from "../recipes/detector.ts";
export { fineTuning, type StartingModel } from "../recipes/fine-tuning.ts";
export type { NetworkChoice } from "../recipes/network.ts";
export type { Recipe, RecipeOptions, SettledOptions, SettledRecipe } from "../recipes/recipe.ts";
export { type StudentRecipeOptions, studentRecipe } from "../recipes/student.ts";
export {
  type EmaOptions,
  type PowerProfile,
  powerEmaWeight,
  powerExponent,
  type Reconstruction,
  reconstruct,
  type TrackedAverage,
} from "../training/averages.ts";
export { assignNoise } from "../training/batch/assignment.ts";
export { type Augmented, augmented, augmentSize } from "../training/batch/augment.ts";
export type { Best } from "../training/best.ts";
export type {
  Averages,
  Checkpoint,
  CheckpointStore,
  Json,
  JsonObject,
  KeptCheckpoint,
  SavedCheckpoint,
} from "../training/checkpoint.ts";
export {
  type TrajectoryPairsOptions,
  type TrajectorySource,
  trajectoryPairs,
} from "../training/consistency/trajectory-pairs.ts";
export { type TuningPairsOptions, tuningPairs } from "../training/consistency/tuning-pairs.ts";
export {
  drawNoise,
  drawTimesteps,
  dropLabels,
  type NoiseDraws,
  type NoiseSamplerOptions,
  noiseSampler,
} from "../training/draws.ts";
export { type TrainingEvent, trained } from "../training/events.ts";
export { type SkippedCheckpoint, TrainingStopped } from "../training/go-back.ts";
export type { Decay } from "../training/learning-rate.ts";
export type { Budget, Pace, PaceOptions } from "../training/pace.ts";
export type { Tensors } from "../training/step/adamw.ts";
export { type Loss, type LossFunction, type StepOptions, trainingGraph } from "../training/step/graph.ts";
export type { Weights } from "../training/step/values.ts";
export { type InitialWeights, type Task, type TaskMemory, taskGraph } from "../training/task.ts";
export {
  type ClassifierBatch,
  type ClassifierLossOptions,
  type ClassifierOptions,
  type ClassifierTensors,
  classifierLoss,
  classifierTask,
} from "../training/tasks/classifier.ts";
export {
  type ConsistencyBatch,
  type ConsistencyLossOptions,
  type ConsistencyOptions,
  type ConsistencyTensors,
  consistencyLoss,
  consistencyTask,
} from "../training/tasks/consistency.ts";
export type { Batch as TrainingBatch, BatchAt, DataOptions } from "../training/tasks/data.ts";
export {
  type DenoiserBatch,
  type DenoiserLossOptions,
  type DenoiserOptions,
  type DenoiserTensors,
  denoiserLoss,
  denoiserTask,
} from "../training/tasks/denoiser.ts";
export { type DetectorBatch, type DetectorTaskOptions, detectorTask } from "../training/tasks/detector.ts";
export { type ScoreBatch, type ScoreOptions, scoreTask } from "../training/tasks/score.ts";
export {
  type TrainOptions,
  train,
  trainClassifier,
  trainConsistency,
  trainDenoiser,
  trainScore,
} from "../training/train.ts";
export type { Fall } from "../training/until.ts";
export type { Watch } from "../training/watch.ts";
