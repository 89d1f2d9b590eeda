import type { NDArray, Tree } from "../ndarray.ts";
import type { Json } from "./checkpoint.ts";
import type { Weights } from "./events.ts";
import type { TrainingGraph } from "./program.ts";

/** What is learnt: a graph of one step, and the values of its `batch` at every step. */
export interface Task {
  /** Made when it is asked for, so that nobody need keep it. */
  graph(): TrainingGraph;
  readonly weights: Weights;
  readonly batchSize: number;
  /** Values of the graph's `batch` for update number `step` (1, 2, ...): the same however often asked, and after resuming. */
  batchAt(step: number): Promise<Tree<NDArray>>;
  /** Learns from the objective of the last batch, [N]. */
  observe?(objective: Float32Array): void;
  /** What the task remembers between steps, for the checkpoint; `restore` takes it back. */
  remember?(): Json;
  restore?(memory: Json): void;
}
