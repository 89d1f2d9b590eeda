/** The best of a run by its held-out loss: part of its checkpoints. */
export interface Best {
  readonly step: number;
  readonly heldOut: number;
}

/** The better one of the best so far and what was just measured; the earlier one of equals. */
export const betterOf = (best: Best | undefined, now: Best): Best => (best && best.heldOut <= now.heldOut ? best : now);
