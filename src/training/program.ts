import { UsageError } from "../errors.ts";
import { float32, type NDArray, type Shape, sizeOf, type Tree } from "../ndarray.ts";
import { gradients } from "../tensor/gradient.ts";
import { concat, scalar, type Tensor, where } from "../tensor/tensor.ts";
import { f32, flatten, isSpec, isTensor, mapTree, type Spec, type TensorsOf, trace } from "../tensor/trace.ts";
import {
  type AdamWOptions,
  adamw,
  adamwCoefficients,
  adamwDefaults,
  clipScale,
  globalNorm,
  type Tensors,
} from "./adamw.ts";
import { type EmaOptions, ema, emaWeight } from "./ema.ts";
import { asParameter, keptShape } from "./kernel-order.ts";
import { powerEmaWeight, trackedAverages, trackedLengths } from "./power-ema.ts";

/** What a loss function gives for a batch: the objective to minimise the mean of, and anything to report, each [N]. */
export interface Loss {
  readonly objective: Tensor;
  readonly metrics: Tensors;
}
export type LossFunction<B extends Tree<Spec>> = (params: Tensors, batch: TensorsOf<B>) => Loss;

export interface StepOptions {
  /** Images whose activations are in memory at once; the whole batch by default. The result is the same but for rounding. */
  microBatch?: number;
  /** Gradients whose norm is above this are shortened to it; by default none is. */
  maxGradientNorm?: number;
  betas?: AdamWOptions["betas"];
  /** Keep two more averages of the weights, of which others can be put together after training: see power-ema.ts. */
  powerEma?: boolean;
}

export type UpdateOptions = AdamWOptions & { ema?: EmaOptions; powerEma?: boolean };

export const mapValues = <T, U>(
  record: Readonly<Record<string, T>>,
  fn: (value: T, key: string) => U,
): Record<string, U> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value, key)]));

/** Shapes of named values. */
export const shapesOf = (values: Readonly<Record<string, { readonly shape: Shape }>>): Record<string, Shape> =>
  mapValues(values, ({ shape }) => shape);

/**
 * One step of training as one graph: the loss of a batch, its gradient, the clipped AdamW update and the running average.
 *
 * `params`, `m`, `v`, `ema` and the `averages` of `powerEma` are both inputs and outputs, in the order of kernel-order.ts: `compileTraining` makes them the program's
 * state. `batch` is the tree that the loss function takes, every leaf with leading axis N; `update` takes `updateValues`. The other
 * outputs are `objective` [N], `metrics` (each [N]) and `gradientNorm` (before clipping). Throws UsageError unless `microBatch` is a whole number from 1.
 */
export function trainingGraph<const B extends Tree<Spec>>(
  shapes: Readonly<Record<string, Shape>>,
  batch: B,
  loss: LossFunction<B>,
  { microBatch = Number.POSITIVE_INFINITY, maxGradientNorm, betas = adamwDefaults.betas, powerEma }: StepOptions = {},
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
  const size = flatten<Spec>(batch, isSpec).values().next().value?.shape[0] ?? 0;

  return trace(specs, (inputs) => {
    const { params: kept, m, v, update, ...old } = inputs as unknown as TensorsOf<Omit<typeof specs, "batch">>;
    const params = mapValues(kept, (tensor, key) => asParameter(tensor, shapes[key]!));
    const parts: Loss[] = [];
    let gradient: Record<string, Tensor> | undefined;
    for (let start = 0; start < size; start += microBatch) {
      const done = gradient;
      const never = done && falseAfter(done);
      const part = mapTree(inputs.batch as Tree<Tensor>, isTensor, (_, x) => {
        const own = x.slice(0, start, Math.min(start + microBatch, size));
        return never ? where(never, 0, own) : own;
      });
      const result = loss(params, part as TensorsOf<B>);
      const share = gradients(result.objective.sum().mul(1 / size), kept);
      gradient = done ? mapValues(done, (sum, key) => sum.add(share[key]!)) : share;
      parts.push(result);
    }
    const join = (pick: (part: Loss) => Tensor): Tensor => concat(parts.map(pick), 0);

    const packs = packing(keptShapes);
    const packed = packs.map((keys) => {
      const [theta, gradients, ms, vs, average] = [kept, gradient!, m, v, old.ema].map((record) => pack(record, keys));
      const averages = mapValues(old.averages, (record) => pack(record, keys));
      return { keys, theta: theta!, gradient: gradients!, m: ms!, v: vs!, average: average!, averages };
    });
    const gradientNorm = globalNorm(packed.map(({ gradient }) => gradient));
    const scale = maxGradientNorm === undefined ? scalar(1) : clipScale(gradientNorm, maxGradientNorm);
    const updated = packed.map(({ keys, theta, gradient, m, v, average, averages }) => {
      const next = adamw(theta, gradient, { m, v }, scale, update, betas);
      return {
        keys,
        ...next,
        ema: ema(average, next.parameter, update.emaWeight),
        averages: mapValues(averages, (old, name) => ema(old, next.parameter, update.averageWeights[name]!)),
      };
    });
    const unpacked = (pick: (pack: (typeof updated)[number]) => Tensor): Record<string, Tensor> =>
      Object.assign({}, ...updated.map((pack) => unpack(pick(pack), pack.keys, keptShapes)));
    return {
      params: unpacked(({ parameter }) => parameter),
      m: unpacked(({ m }) => m),
      v: unpacked(({ v }) => v),
      ema: unpacked(({ ema }) => ema),
      averages: mapValues(old.averages, (_, name) => unpacked(({ averages }) => averages[name]!)),
      objective: join(({ objective }) => objective),
      metrics: mapValues(parts[0]!.metrics, (_, name) => join(({ metrics }) => metrics[name]!)),
      gradientNorm,
    };
  });
}

/** A `trainingGraph` of any batch. */
export type TrainingGraph = ReturnType<typeof trainingGraph<Tree<Spec>>>;

/** Values of the graph's `update` for update number `update` (1, 2, ...). */
export function updateValues(update: number, learningRate: number, options: UpdateOptions = {}) {
  const { keep, stepSize, epsilon } = adamwCoefficients(update, learningRate, options);
  const number = (value: number): NDArray<"float32"> => float32([], [value]);
  return {
    keep: number(keep),
    stepSize: number(stepSize),
    epsilon: number(epsilon),
    emaWeight: number(emaWeight(update, options.ema)),
    averageWeights: options.powerEma
      ? mapValues(trackedLengths, (length) => number(powerEmaWeight(update, length)))
      : ({} as Record<string, NDArray<"float32">>),
  };
}

/**
 * False, but not before every one of `tensors` is computed: what depends on it waits for them, so that the engine frees one
 * micro-batch's activations before it makes the next one's.
 */
function falseAfter(tensors: Tensors): Tensor {
  const elements = Object.values(tensors).map((tensor) => tensor.reshape(-1).slice(0, 0, 1));
  return concat(elements, 0).square().sum().less(0);
}

/** Elements up to which a parameter is updated together with others, and how many are at most. */
const smallParameter = 1 << 13;
const largestPack = 1 << 16;

/** Keys of the parameters that are updated together: large ones alone, for that stays in cache, small ones in few operators. */
function packing(shapes: Readonly<Record<string, Shape>>): string[][] {
  const packs: string[][] = [];
  let open: { keys: string[]; size: number } | undefined;
  for (const [key, shape] of Object.entries(shapes)) {
    const size = sizeOf(shape);
    if (size > smallParameter) packs.push([key]);
    else if (open && open.size + size <= largestPack) {
      open.keys.push(key);
      open.size += size;
    } else {
      open = { keys: [key], size };
      packs.push(open.keys);
    }
  }
  return packs;
}

const pack = (record: Tensors, keys: readonly string[]): Tensor =>
  keys.length === 1
    ? record[keys[0]!]!
    : concat(
        keys.map((key) => record[key]!.reshape(-1)),
        0,
      );

function unpack(
  packed: Tensor,
  keys: readonly string[],
  shapes: Readonly<Record<string, Shape>>,
): Record<string, Tensor> {
  let end = 0;
  return Object.fromEntries(
    keys.map((key) => {
      const start = end;
      end += sizeOf(shapes[key]!);
      return [key, keys.length === 1 ? packed : packed.slice(0, start, end).reshape(...shapes[key]!)];
    }),
  );
}
