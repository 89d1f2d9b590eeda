/*
 * When a run that is to end where it is good has come so far. It is when the loss of held-out images stops to fall: the least of it that was
 * measured is less than 1% below the least of the first two thirds of the run. A tenth of the longest time must be over, so that a
 * slow beginning is not taken for the end. Then the learning rate falls to 0, over a fifth of the time that the run has taken: the loss falls
 * once more, as far as it will.
 */

/** The seconds of a run after which a held-out loss was less than all before: part of its checkpoints. */
export interface Fall {
  readonly seconds: number;
  readonly heldOut: number;
}

/** Share of the run, looked back on, in which the loss must fall. */
const lastPart = 1 / 3;
/** By this share of itself. */
const leastFall = 0.01;
/** Share of the longest time before which nothing is judged. */
const soonest = 0.1;

/** How the least loss fell so far, with what was just measured. */
export const fallWith = (falls: readonly Fall[], now: Fall): readonly Fall[] =>
  falls.every(({ heldOut }) => now.heldOut < heldOut) ? [...falls, now] : falls;

/** Has the least held-out loss stopped to fall, so many seconds after the run began? `minutes` is the longest time. */
export function isFlat(falls: readonly Fall[] = [], seconds: number, minutes: number): boolean {
  const before = falls.findLast((fall) => fall.seconds <= (1 - lastPart) * seconds)?.heldOut;
  const least = falls.at(-1)?.heldOut;
  if (before === undefined || least === undefined || seconds < 60 * minutes * soonest) return false;
  return before - least <= leastFall * Math.abs(before);
}
