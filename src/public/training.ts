export type { Checkpoint, CheckpointStore } from "../training/checkpoint.ts";
export type { ClassifierOptions } from "../training/classifier.ts";
export type { DenoiserOptions } from "../training/denoiser.ts";
export type { TrainingEvent } from "../training/events.ts";
export {
  type PowerProfile,
  powerEmaWeight,
  powerExponent,
  type Reconstruction,
  reconstruct,
} from "../training/power-ema.ts";
export type { ScoreOptions } from "../training/score.ts";
export { type TrainOptions, trainClassifier, trainDenoiser, trainScore } from "../training/train.ts";
