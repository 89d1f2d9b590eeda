import { ShapeError, UsageError } from "../../errors.ts";
import type { Shape, Tree } from "../../ndarray.ts";
import { concat, where } from "../../tensor/functions.ts";
import { gradients } from "../../tensor/gradient.ts";
import { show } from "../../tensor/shape.ts";
import type { AnyTensor, Tensor } from "../../tensor/tensor.ts";
import { f32, flatten, isTensor, mapTree, type Spec, type TensorsOf, trace } from "../../tensor/trace.ts";
import { trackedAverages } from "../averages.ts";
import { adamwDefaults, type Tensors } from "./adamw.ts";
import { asParameter, keptShape } from "./kernel-order.ts";
import { updateParameters } from "./update.ts";
import { mapValues } from "./values.ts";

/** What a loss function gives for a batch: the objective, of which the mean is made small, and anything to report, each [N]. */
export interface Loss {
  /** [N], of which the mean is made small. */
  readonly objective: Tensor;
  /** Numbers to report, each [N]. */
  readonly metrics?: Tensors;
}

/** The loss of a batch, traced: from the parameters of the network, by name, and a tree of tensors. */
export type LossFunction<B extends Tree<Spec>> = (params: Tensors, batch: TensorsOf<B>) => Loss;

/** What changes the graph of a step, whatever the loss. */
export interface StepOptions {
  /** Images whose activations are in memory at once; the whole batch by default. The result is the same but for rounding. */
  microBatch?: number;
  /** Gradients whose norm is above this are shortened to it; 0, the default, for no limit. */
  maxGradientNorm?: number;
  /** Decay rates of AdamW's running mean and mean square of the gradient; 0.9 and 0.999 by default. */
  betas?: readonly [beta1: number, beta2: number];
  /** Keep two more averages of the weights, of which others can be put together after training: see averages.ts. */
  powerEma?: boolean;
}

/**
 * One step of training as one graph: the loss of a batch, its gradient, the clipped AdamW update and the running average.
 *
 * `params`, `m`, `v`, `ema` and the `averages` of `powerEma` are both inputs and outputs, in the order of kernel-order.ts:
 * `compileTraining` makes them the program's state. `batch` is the tree that the loss function takes, every leaf with leading axis N;
 * `update` takes `updateValues`. The other outputs are `objective` [N], `metrics` (each [N]) and `gradientNorm` (before clipping).
 *
 * @param shapes of the network's parameters, by name.
 * @throws UsageError unless `microBatch` is a whole number from 1; ShapeError for an objective or a metric that is not [N].
 */
export function trainingGraph<const B extends Tree<Spec>>(
  shapes: Readonly<Record<string, Shape>>,
  batch: B,
  loss: LossFunction<B>,
  {
    microBatch = Number.POSITIVE_INFINITY,
    maxGradientNorm = 0,
    betas = adamwDefaults.betas,
    powerEma,
  }: StepOptions = {},
) {
  if (!(microBatch >= 1) || microBatch % 1 > 0)
    throw new UsageError(`microBatch must be a whole number from 1 but is ${microBatch}`);
  const keptShapes = mapValues(shapes, keptShape);
  const parameters = mapValues(keptShapes, (shape) => f32(...shape));
  const tracked = powerEma ? trackedAverages : [];
  const forEach = <T>(value: T): Record<string, T> => Object.fromEntries(tracked.map((name) => [name, value]));
  const update = { keep: f32(), stepSize: f32(), epsilon: f32(), emaWeight: f32(), averageWeights: forEach(f32()) };
  const averages = forEach(parameters);
  const specs = { params: parameters, m: parameters, v: parameters, ema: parameters, averages, batch, update };

  return trace(specs, (inputs) => {
    const { update, ...state } = inputs as unknown as TensorsOf<Omit<typeof specs, "batch">>;
    const params = mapValues(state.params, (tensor, key) => asParameter(tensor, shapes[key]!));
    const ofPart = (part: Tree<AnyTensor>): Loss => loss(params, part as TensorsOf<B>);
    const { gradient, parts } = averageGradient(state.params, inputs.batch as Tree<AnyTensor>, ofPart, microBatch);
    const join = (pick: (part: Loss) => Tensor): Tensor => concat(parts.map(pick), 0);
    const { next, gradientNorm } = updateParameters(keptShapes, { ...state, gradient }, update, {
      maxGradientNorm,
      betas,
    });
    return {
      ...next,
      objective: join(({ objective }) => objective),
      metrics: mapValues(parts[0]!.metrics ?? {}, (_, name) => join(({ metrics }) => metrics![name]!)),
      gradientNorm,
    };
  });
}

/** A `trainingGraph` of any batch. */
export type TrainingGraph = ReturnType<typeof trainingGraph<Tree<Spec>>>;

/** The gradient of the mean objective of a batch to the kept parameters, and the loss of each of its micro-batches. */
function averageGradient(
  kept: Tensors,
  batch: Tree<AnyTensor>,
  loss: (part: Tree<AnyTensor>) => Loss,
  microBatch: number,
): { gradient: Tensors; parts: readonly Loss[] } {
  const size = sizeOfBatch(batch);
  const parts: Loss[] = [];
  let gradient: Record<string, Tensor> | undefined;
  for (let start = 0; start < size; start += microBatch) {
    const done = gradient;
    const never = done && falseAfter(done);
    const part = mapTree(batch, isTensor, (_, x) => {
      const own = x.slice(0, start, Math.min(start + microBatch, size));
      return never ? where(never, 0, own) : own;
    });
    const result = loss(part);
    checkPerImage(result, sizeOfBatch(part));
    const share = gradients(result.objective.sum().mul(1 / size), kept);
    gradient = done ? mapValues(done, (sum, key) => sum.add(share[key]!)) : share;
    parts.push(result);
  }
  return { gradient: gradient!, parts };
}

/** Throws ShapeError unless the objective and every metric have one number for each image: another shape would give another gradient. */
function checkPerImage({ objective, metrics = {} }: Loss, count: number): void {
  for (const [name, { shape }] of Object.entries({ objective, ...metrics }))
    if (shape.length !== 1 || shape[0] !== count)
      throw new ShapeError(
        `loss: ${name} must be [N], one number for each of the ${count} images of the batch, but is ${show(shape)}; leave the mean over the batch to the training, and take that over an image's values (meanPerImage)`,
      );
}

const sizeOfBatch = (batch: Tree<AnyTensor>): number => flatten(batch, isTensor).values().next().value?.shape[0] ?? 0;

/**
 * False, but not before every one of `tensors` is computed: what depends on it waits for them, so that the engine frees one
 * micro-batch's activations before it makes the next one's.
 */
function falseAfter(tensors: Tensors): Tensor<"bool"> {
  const elements = Object.values(tensors).map((tensor) => tensor.reshape(-1).slice(0, 0, 1));
  return concat(elements, 0).square().sum().less(0);
}
