import { RuntimeFailure } from "../errors.ts";

/** The first loss of a run, and the smoothed one after `steps`. */
export interface Watch {
  /** Steps that it has seen. */
  readonly steps: number;
  /** Loss of the first step. */
  readonly first: number;
  /** Running mean of the loss. */
  readonly smooth: number;
}

export const freshWatch: Watch = { steps: 0, first: 0, smooth: 0 };

/** Steps that the smoothed loss looks back on. */
const horizon = 20;

/**
 * The watch after one more step.
 *
 * @param limit how many times the first loss the smoothed one may be
 * @param lastGood where the last good checkpoint is, for the message
 * @throws RuntimeFailure where the loss or the gradient is not finite, or the loss explodes
 */
export function observe(
  { steps, first, smooth }: Watch,
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
  const next = smooth + (loss - smooth) / Math.min(steps + 1, horizon);
  const reference = steps === 0 ? loss : first;
  if (next > limit * reference)
    stop(`the loss explodes: it is about ${next.toPrecision(3)} and began at ${reference.toPrecision(3)}`);
  return { steps: steps + 1, first: reference, smooth: next };
}
