import type { TrackedAverage } from "./averages.ts";
import type { Best } from "./best.ts";
import type { Pace } from "./pace.ts";
import type { Weights } from "./step/values.ts";
import type { Fall } from "./until.ts";
import type { Watch } from "./watch.ts";

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
/** An object that JSON can hold. */
export type JsonObject = { readonly [key: string]: Json };

/** The averages of which others are put together after training. See averages.ts. */
export type Averages = Readonly<Record<TrackedAverage, Weights>>;

/** Everything that a run needs to go on bit for bit after `step` updates. Random numbers are functions of (seed, step). */
export interface Checkpoint {
  /** Finished updates. */
  readonly step: number;
  /** The weights, by name; the same names below. */
  readonly params: Weights;
  /** AdamW's running mean of the gradient. */
  readonly m: Weights;
  /** AdamW's running mean square of the gradient. */
  readonly v: Weights;
  /** The running average of the weights. */
  readonly ema: Weights;
  /** Where the run keeps them. */
  readonly averages?: Averages;
  /** What the task itself remembers, such as the loss history of the timestep sampler. */
  readonly task: Json;
  /** What tells an exploding loss: see watch.ts. */
  readonly watch: Watch;
  /** How far the run is, where its budget is in minutes: see pace.ts. */
  readonly pace?: Pace;
  /** The best so far, where the task holds images out: see held-out.ts. */
  readonly best?: Best;
  /** How the held-out loss fell, where the run ends once that stops: see until.ts. */
  readonly falls?: readonly Fall[];
  /** What the run was started with. */
  readonly config: JsonObject;
}

/** A checkpoint that is kept, without what is in it. */
export interface KeptCheckpoint extends Pick<Checkpoint, "step"> {
  /** Where it is, for messages. */
  readonly path: string;
  /** Its arrays and all else. Throws ModelError where they are damaged. */
  read(): Promise<Checkpoint>;
}

/** A checkpoint that is kept: what it is, without its arrays, which are read when they are asked for. */
export interface SavedCheckpoint extends KeptCheckpoint, Pick<Checkpoint, "config"> {}

/** Where checkpoints are kept. */
export interface CheckpointStore {
  /** The newest checkpoint, or that of a step. Its arrays may be damaged. */
  latest(step?: number): Promise<SavedCheckpoint | undefined>;
  /** All that are kept, damaged ones too, the newest first. Without it a run cannot go back beyond the newest. */
  all?(): Promise<readonly KeptCheckpoint[]>;
  /**
   * Writes one atomically: after a crash at any moment, `latest` gives either the one before or this one. Those of later steps, which a run
   * left that went back, are removed. Resolves to its path.
   */
  save(checkpoint: Checkpoint): Promise<string>;
  /** Keeps a snapshot of the averages after `step` updates, atomically, for as long as the run's folder is there. */
  saveAverages?(step: number, averages: Averages): Promise<void>;
}
