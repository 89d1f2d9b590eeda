import { RuntimeFailure } from "../errors.ts";
import type { Best } from "./best.ts";
import type { JsonObject } from "./checkpoint.ts";
import type { SkippedCheckpoint } from "./go-back.ts";
import type { Weights } from "./step/values.ts";

export type { Weights };

/** What a training run tells while it goes on. `step` counts finished updates; `averaged` are the running averages of the weights. */
export type TrainingEvent =
  | {
      readonly kind: "start";
      /** 0, or the step of the checkpoint that the run goes on from. */
      readonly step: number;
      /** Updates in all; undefined where the budget is in minutes, and the speed not known yet. */
      readonly steps: number | undefined;
      readonly resumedFrom?: string;
      /** Newer checkpoints that were passed over: damaged, or not finite. */
      readonly skipped?: readonly SkippedCheckpoint[];
      /** What the run keeps in its checkpoints: the config that was given, with the changes of options since it began. */
      readonly config: JsonObject;
      /** The best checkpoint so far of a run that goes on, where images are held out. */
      readonly best?: Best;
    }
  | {
      readonly kind: "step";
      readonly step: number;
      /** Updates in all; where the budget is in minutes, as it looks by the speed so far. */
      readonly steps: number;
      /** Share of the run that is done, 0 to 1: what the learning rate follows. */
      readonly progress: number;
      /** Seconds that the run has taken; of one whose budget is in minutes, those before it was resumed included. */
      readonly seconds: number;
      /** Mean objective of the batch. */
      readonly loss: number;
      /** Means over the batch of what else the loss reports: `mse`, `vb`, `accuracy`. */
      readonly metrics: Readonly<Record<string, number>>;
      /** Before clipping. */
      readonly gradientNorm: number;
      readonly learningRate: number;
      readonly imagesPerSecond: number;
      readonly secondsLeft: number;
    }
  | {
      readonly kind: "checkpoint";
      readonly step: number;
      readonly path: string;
      readonly averaged: Weights;
      /** Mean objective of the averaged weights on images that were never trained on, where the task holds some out. */
      readonly heldOut?: number;
      /** The checkpoint whose measure was the least so far; of this step, where it is this one. */
      readonly best?: Best;
      /** From here on the rate falls to 0, for the loss on held-out images has stopped to fall. */
      readonly windsUp?: boolean;
    }
  /** Time for a sample sheet; the run goes on when the next event is asked for. */
  | { readonly kind: "samples"; readonly step: number; readonly averaged: Weights }
  /** The signal was raised; everything up to `step` is in the checkpoint at `path`, where there is a store. */
  | { readonly kind: "interrupted"; readonly step: number; readonly path?: string; readonly averaged: Weights }
  | { readonly kind: "done"; readonly step: number; readonly averaged: Weights };

/**
 * Follows a training to its end: `await trained(trainDenoiser(...))`.
 *
 * @returns the running averages of the weights, by name: those to sample with.
 * @throws RuntimeFailure where the signal was raised before the end; whatever the training throws.
 */
export async function trained(events: AsyncIterable<TrainingEvent>): Promise<Weights> {
  for await (const event of events) {
    if (event.kind === "done") return event.averaged;
    if (event.kind === "interrupted") throw new RuntimeFailure(`the training was interrupted after step ${event.step}`);
  }
  throw new RuntimeFailure("the training ended before it was done");
}
