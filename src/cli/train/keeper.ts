import type { Best } from "../../training/best.ts";

/** A checkpoint's loss on held-out images, and the best so far. */
interface Measured {
  readonly step: number;
  readonly heldOut: number;
  readonly best: Best;
  /** Does the rate fall to 0 from here on, for the loss has stopped to? */
  readonly windsUp?: boolean;
}

/** Decides which weights the model folder holds: the newest, or, where images are held out, those with the least loss on them. */
export interface Keeper {
  /** Are these weights, just now measured or not, for the folder? */
  keeps(step: number): boolean;
  /** Takes note of a measure, and says what there is to say. */
  note(measured: Measured): string[];
  /** The step whose weights the folder holds where it is not this one, and why. */
  inPlaceOf(step: number): string | undefined;
}

/** So many checkpoints in a row that are worse than the best are no accident. */
const rises = 3;

/** @param best of a run that goes on */
export function keeper(keep: "best" | "last", best: Best | undefined): Keeper {
  let known = best;
  let last: number | undefined;
  let worse = 0;
  return {
    keeps: (step) => keep === "last" || known === undefined || known.step === step,
    note({ step, heldOut, best, windsUp = false }) {
      known = best;
      last = heldOut;
      const isBest = best.step === step;
      worse = isBest ? 0 : worse + 1;
      const rest = isBest
        ? "the least so far"
        : `${best.heldOut.toPrecision(4)} at step ${best.step}${keep === "best" ? ", whose weights stay" : ""}`;
      return [
        `held-out loss at step ${step}: ${heldOut.toPrecision(4)} (${rest})`,
        ...(worse === rises
          ? [
              `warning: the held-out loss has risen since step ${best.step}: from there on the network learns its images by heart. More images are better, --flip and --crop make more of those that there are, and a smaller --preset or fewer steps help`,
            ]
          : []),
        ...(windsUp
          ? [
              `good: in the last third of the run the held-out loss fell by no more than 1%; from step ${step} on the learning rate falls to 0, over the last sixth of the run`,
            ]
          : []),
      ];
    },
    inPlaceOf(step) {
      if (keep === "last" || known === undefined || known.step === step) return undefined;
      const now = last === undefined ? "" : `; ${last.toPrecision(4)} at the end`;
      return `the model is that of step ${known.step}, whose held-out loss is the least (${known.heldOut.toPrecision(4)}${now}); --keep last keeps the newest`;
    },
  };
}
