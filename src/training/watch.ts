import { RuntimeFailure } from "../errors.ts";

/** Smoothed loss of a run, and the lowest that it reached. */
export interface Watch {
  readonly steps: number;
  readonly smooth: number;
  readonly lowest: number;
}

export const freshWatch: Watch = { steps: 0, smooth: 0, lowest: Number.MAX_VALUE };

/** Steps before `lowest` counts, and inverse weight of a new loss in the smoothed one. */
const horizon = 20;

/**
 * The watch after one more step.
 *
 * @param limit how many times its lowest value the smoothed loss may reach
 * @param lastGood where the last good checkpoint is, for the message
 * @throws RuntimeFailure where the loss or the gradient is not finite, or the loss explodes
 */
export function observe(
  { steps, smooth, lowest }: Watch,
  { step, loss, gradientNorm }: { step: number; loss: number; gradientNorm: number },
  limit: number,
  lastGood: string | undefined,
): Watch {
  const stop = (problem: string): never => {
    const rescue = lastGood ? `The last good checkpoint is ${lastGood}` : "There is no checkpoint yet";
    throw new RuntimeFailure(
      `training stopped at step ${step}: ${problem}. ${rescue}. Lower the learning rate or the gradient clipping, then ${lastGood ? "resume" : "start again"}.`,
    );
  };
  if (!Number.isFinite(loss)) stop(`the loss is ${loss}`);
  if (!Number.isFinite(gradientNorm)) stop(`the gradient's norm is ${gradientNorm}`);
  const next = steps === 0 ? loss : smooth + (loss - smooth) / Math.min(steps + 1, horizon);
  if (next > limit * Math.abs(lowest))
    stop(`the loss explodes: about ${next.toPrecision(3)}, after ${lowest.toPrecision(3)} before`);
  return { steps: steps + 1, smooth: next, lowest: steps + 1 < horizon ? lowest : Math.min(lowest, next) };
}
