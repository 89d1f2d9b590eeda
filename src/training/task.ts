import type { NDArray, Tree } from "../ndarray.ts";
import { type SpecsOf, specsOf, type TensorsOf } from "../tensor/trace.ts";
import type { Json } from "./checkpoint.ts";
import type { Tensors } from "./step/adamw.ts";
import { type Loss, type LossFunction, type StepOptions, type TrainingGraph, trainingGraph } from "./step/graph.ts";
import { shapesOf, type Weights } from "./step/values.ts";

/**
 * What `train` learns: weights, data and a loss.
 *
 * In an object literal `batchAt` stands before `loss`, so that TypeScript knows the batch that the loss gets.
 *
 * @typeParam B the values of a batch, a tree of arrays with string keys.
 */
export interface Task<B extends Tree<NDArray> = Tree<NDArray>> {
  /**
   * Weights to begin with, by name; `initialize(network, seed)` makes those of a network. A function is asked only where a run begins
   * anew, and its weights are then the engine's alone.
   */
  readonly weights: InitialWeights;
  /**
   * The batch of update number `step` (1, 2, ...): images, labels, noise, whatever the loss takes, each [N, ...]. The same whenever
   * and in whatever order it is asked for, and of the same shapes at every step; a resumed run asks for the step that it is at.
   *
   * @param memory what the task remembers before this step; `null` for a task without `memory`.
   */
  batchAt(step: number, memory: Json): B | Promise<B>;
  /**
   * The loss of a batch, as a traced function of the weights, by name, and of the batch. The mean of its `objective` [N] is made
   * small; its `metrics`, each [N], are reported.
   */
  loss(params: Tensors, batch: TensorsOf<SpecsOf<B>>): Loss;
  /** For tasks whose batches depend on what was learnt before. */
  readonly memory?: TaskMemory;
  /**
   * Batches that are never trained on, of the same shapes each: the mean of their objective is measured, of the average of the weights, at
   * every checkpoint. Each gives the same values whenever it is asked for.
   */
  readonly heldOut?: readonly (() => B | Promise<B>)[];
}

/** Weights, or what makes them. */
export type InitialWeights = Weights | (() => Weights);

/** What a task remembers from step to step, as JSON: it is part of the checkpoints. */
export interface TaskMemory {
  /** Before the first step. */
  readonly initial: Json;
  /** After update number `step`, which gave this `objective` [N]. Returns a new value and leaves `before` as it is. */
  after(before: Json, step: number, objective: Float32Array): Json;
}

/** One step of a task as a graph; weights and a batch, any, tell shapes and types. */
export function taskGraph<B extends Tree<NDArray>>(
  task: Pick<Task<B>, "loss">,
  weights: Weights,
  batch: B,
  options?: StepOptions,
): TrainingGraph {
  const loss: LossFunction<SpecsOf<B>> = (params, part) => task.loss(params, part);
  return trainingGraph(shapesOf(weights), specsOf(batch), loss, options);
}
