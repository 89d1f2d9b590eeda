import { float32, type NDArray, type Shape, sizeOf } from "../../ndarray.ts";
import { concat } from "../../tensor/functions.ts";
import { scalar, type Tensor } from "../../tensor/tensor.ts";
import { type EmaOptions, ema, emaWeight, powerEmaWeight, trackedLengths } from "../averages.ts";
import {
  type AdamWCoefficients,
  type AdamWOptions,
  adamw,
  adamwCoefficients,
  clipScale,
  globalNorm,
  type Tensors,
} from "./adamw.ts";
import { mapValues } from "./values.ts";

/** Numbers of an update that are computed outside the graph. */
export type UpdateOptions = AdamWOptions & EmaOptions & { powerEma?: boolean };

/** Values of the graph's `update` for update number `update` (1, 2, ...). */
export function updateValues(update: number, learningRate: number, options: UpdateOptions = {}) {
  const { keep, stepSize, epsilon } = adamwCoefficients(update, learningRate, options);
  const number = (value: number): NDArray<"float32"> => float32([], [value]);
  return {
    keep: number(keep),
    stepSize: number(stepSize),
    epsilon: number(epsilon),
    emaWeight: number(emaWeight(update, options)),
    averageWeights: options.powerEma
      ? mapValues(trackedLengths, (length) => number(powerEmaWeight(update, length)))
      : ({} as Record<string, NDArray<"float32">>),
  };
}

/** What an update changes, by parameter. */
interface State {
  readonly params: Tensors;
  readonly m: Tensors;
  readonly v: Tensors;
  readonly ema: Tensors;
  readonly averages: Readonly<Record<string, Tensors>>;
}

/** The numbers of `updateValues` in the graph, each of rank 0. */
type UpdateTensors = { readonly [K in keyof AdamWCoefficients]: Tensor } & {
  readonly emaWeight: Tensor;
  readonly averageWeights: Tensors;
};

/** The state after an update, and the gradient's norm before it was clipped. Small parameters are updated together. */
export function updateParameters(
  shapes: Readonly<Record<string, Shape>>,
  { params, gradient, m, v, ...old }: State & { readonly gradient: Tensors },
  update: UpdateTensors,
  { maxGradientNorm, betas }: { readonly maxGradientNorm: number; readonly betas: AdamWOptions["betas"] },
): { readonly next: State; readonly gradientNorm: Tensor } {
  const packed = packing(shapes).map((keys) => {
    const [theta, gradients, ms, vs, average] = [params, gradient, m, v, old.ema].map((record) => pack(record, keys));
    const averages = mapValues(old.averages, (record) => pack(record, keys));
    return { keys, theta: theta!, gradient: gradients!, m: ms!, v: vs!, average: average!, averages };
  });
  const gradientNorm = globalNorm(packed.map(({ gradient }) => gradient));
  const scale = maxGradientNorm > 0 ? clipScale(gradientNorm, maxGradientNorm) : scalar(1);
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
    Object.assign({}, ...updated.map((pack) => unpack(pick(pack), pack.keys, shapes)));
  const next = {
    params: unpacked(({ parameter }) => parameter),
    m: unpacked(({ m }) => m),
    v: unpacked(({ v }) => v),
    ema: unpacked(({ ema }) => ema),
    averages: mapValues(old.averages, (_, name) => unpacked(({ averages }) => averages[name]!)),
  };
  return { next, gradientNorm };
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

/** The parameters of a pack as one tensor: flat where there are several. */
const pack = (record: Tensors, keys: readonly string[]): Tensor =>
  keys.length === 1
    ? record[keys[0]!]!
    : concat(
        keys.map((key) => record[key]!.reshape(-1)),
        0,
      );

/** The opposite of `pack`: each parameter of it, in its shape. */
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
