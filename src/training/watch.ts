/** What a run knows of its loss: the first one, the smoothed one after `steps`, and the lowest that one has been. */
export interface Watch {
  readonly steps: number;
  readonly first: number;
  readonly smooth: number;
  /** Checkpoints of earlier versions are without this, and the next one. */
  readonly lowest?: number;
  /** The last update whose loss was in keeping with those before it. A loss tells of the weights that the update before made. */
  readonly sane?: number;
}

export const freshWatch: Watch = { steps: 0, first: 0, smooth: 0 };

/** Steps that the smoothed loss looks back on. */
const horizon = 20;

/**
 * The watch after one more step; or what is wrong, where the loss or the gradient is not finite, or the loss explodes.
 *
 * @param limit how many times the first loss the smoothed one may be
 */
export function observe(
  { steps, first, smooth, lowest = Number.POSITIVE_INFINITY, sane = steps }: Watch,
  { loss, gradientNorm }: { loss: number; gradientNorm: number },
  limit: number,
): Watch | { readonly problem: string } {
  if (!Number.isFinite(loss)) return { problem: `the loss is ${loss}` };
  if (!Number.isFinite(gradientNorm)) return { problem: `the gradient's norm is ${gradientNorm}` };
  const next = smooth + (loss - smooth) / Math.min(steps + 1, horizon);
  const reference = steps === 0 ? loss : first;
  if (next > limit * reference)
    return {
      problem: `the loss explodes: it is about ${next.toPrecision(3)} and began at ${reference.toPrecision(3)}`,
    };
  const inKeeping = steps === 0 || loss <= 4 * Math.max(smooth, first / 10);
  return {
    steps: steps + 1,
    first: reference,
    smooth: next,
    lowest: Math.min(lowest, next),
    sane: inKeeping ? steps + 1 : sane,
  };
}

/**
 * Was all well with the loss? Trouble begins long before a run is stopped for it: a loss that is twice its lowest is on its way up, unless it
 * is small beside the first one, where it goes up and down.
 */
export const isSane = ({ first, smooth, lowest = first / 2 }: Watch): boolean =>
  smooth <= Math.max(2 * lowest, first / 10);
