export {
  type PowerProfile,
  powerEmaWeight,
  powerExponent,
  type Reconstruction,
  reconstruct,
} from "../training/averages.ts";
export type { Checkpoint, CheckpointStore, SavedCheckpoint } from "../training/checkpoint.ts";
export {
  drawNoise,
  drawTimesteps,
  dropLabels,
  type NoiseDraws,
  type NoiseSamplerOptions,
  noiseSampler,
} from "../training/draws.ts";
export { type TrainingEvent, trained } from "../training/events.ts";
export { type Loss, type LossFunction, type StepOptions, trainingGraph } from "../training/step/graph.ts";
export { type Task, type TaskMemory, taskGraph } from "../training/task.ts";
export {
  type ClassifierBatch,
  type ClassifierOptions,
  classifierLoss,
  classifierTask,
} from "../training/tasks/classifier.ts";
export type { Batch as TrainingBatch, BatchAt, DataOptions } from "../training/tasks/data.ts";
export { type DenoiserBatch, type DenoiserOptions, denoiserLoss, denoiserTask } from "../training/tasks/denoiser.ts";
export { type ScoreBatch, type ScoreOptions, scoreTask } from "../training/tasks/score.ts";
export { type TrainOptions, train, trainClassifier, trainDenoiser, trainScore } from "../training/train.ts";
