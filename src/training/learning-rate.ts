import { UsageError } from "../errors.ts";

/** How a rate falls: `late` stays highest and falls linearly over the last sixth of the run. */
export type Decay = "none" | "linear" | "cosine" | "late";

/** Share of a run after which its late fall begins: over a fifth of the time before. */
export const lateFrom = 5 / 6;

export interface LearningRateOptions {
  /** Highest rate, reached at the end of the warm-up. */
  learningRate?: number;
  /** Updates over which the rate rises linearly from 0. */
  warmUpSteps?: number;
  /** How the rate falls after the warm-up, to `finalLearningRate` at the last update. */
  decay?: Decay;
  finalLearningRate?: number;
}

const learningRateDefaults = {
  learningRate: 1e-3,
  warmUpSteps: 0,
  decay: "none",
  finalLearningRate: 0,
} as const;

/** Share of a run of unknown length that the warm-up takes at most. */
const warmUpShare = 0.1;

/** How far the rate has fallen: 1 at first, 0 at the end. */
function remainingOf(decay: Exclude<Decay, "none">, progress: number): number {
  if (decay === "late") return Math.min(1, (1 - progress) / (1 - lateFrom));
  return decay === "linear" ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
}

/** Learning rate of update number `update` (1 .. steps), in float64. Throws UsageError where the warm-up is longer than the run. */
export function learningRateAt(update: number, steps: number, options: LearningRateOptions = {}): number {
  const { learningRate, warmUpSteps, decay, finalLearningRate } = { ...learningRateDefaults, ...options };
  if (warmUpSteps > steps)
    throw new UsageError(`the warm-up of ${warmUpSteps} steps is longer than the whole run of ${steps}; shorten it`);
  if (update <= warmUpSteps) return (learningRate * update) / warmUpSteps;
  if (decay === "none") return learningRate;
  const progress = (update - warmUpSteps) / Math.max(1, steps - warmUpSteps); // 0 at the end of the warm-up, 1 at the last update
  return finalLearningRate + (learningRate - finalLearningRate) * remainingOf(decay, progress);
}

/**
 * Learning rate of update number `update` (1, 2, ...) of a run whose number of updates is not known, in float64: it follows the share of the
 * run that is done after the update, 0 to 1. The warm-up ends after `warmUpSteps`, or a tenth of the run, whichever is sooner.
 */
export function learningRateAtProgress(update: number, progress: number, options: LearningRateOptions = {}): number {
  const { learningRate, warmUpSteps, decay, finalLearningRate } = { ...learningRateDefaults, ...options };
  const risen = Math.min(1, Math.max(warmUpSteps > 0 ? update / warmUpSteps : 1, progress / warmUpShare));
  if (decay === "none") return risen * learningRate;
  return risen * (finalLearningRate + (learningRate - finalLearningRate) * remainingOf(decay, progress));
}
