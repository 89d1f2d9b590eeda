import { UsageError } from "../errors.ts";

export interface LearningRateOptions {
  /** Highest rate, reached at the end of the warm-up. */
  learningRate?: number;
  /** Updates over which the rate rises linearly from 0. */
  warmUpSteps?: number;
  /** How the rate falls after the warm-up, to `finalLearningRate` at the last update. */
  decay?: "none" | "linear" | "cosine";
  finalLearningRate?: number;
}

const learningRateDefaults = {
  learningRate: 1e-3,
  warmUpSteps: 0,
  decay: "none",
  finalLearningRate: 0,
} as const;

/** Learning rate of update number `update` (1 .. steps), in float64. Throws UsageError where the warm-up is longer than the run. */
export function learningRateAt(update: number, steps: number, options: LearningRateOptions = {}): number {
  const { learningRate, warmUpSteps, decay, finalLearningRate } = { ...learningRateDefaults, ...options };
  if (warmUpSteps > steps)
    throw new UsageError(`the warm-up of ${warmUpSteps} steps is longer than the whole run of ${steps}; shorten it`);
  if (update <= warmUpSteps) return (learningRate * update) / warmUpSteps;
  if (decay === "none") return learningRate;
  const progress = (update - warmUpSteps) / Math.max(1, steps - warmUpSteps); // 0 at the end of the warm-up, 1 at the last update
  const remaining = decay === "linear" ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2;
  return finalLearningRate + (learningRate - finalLearningRate) * remaining;
}
