import { type Shape, sizeOf, stridesOf } from "../../src/ndarray.ts";
import { topological } from "../../src/tensor/gradient.ts";
import type { Conv2dGeometry, Op } from "../../src/tensor/ops.ts";
import { show, type Type } from "../../src/tensor/shape.ts";
import type { AnyTensor, Node } from "../../src/tensor/tensor.ts";

/** What the interpreter computes with: float64 whatever the tensor's type (bool as 0 and 1). */
export interface Value {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** What it accepts for an `input` leaf. */
export interface Given {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** From an operator's application, the values of its inputs and the type of the result: the result's elements. */
type Rule<K extends Op> = (node: Node<K>, inputs: readonly Value[], result: Type) => Float64Array;

/** For each element of `shape` in row-major order, offset + sum of index times stride. */
function positions(shape: Shape, strides: readonly number[], offset = 0): Int32Array {
  let at = Int32Array.of(offset);
  shape.forEach((n, axis) => {
    const next = new Int32Array(at.length * n);
    for (let i = 0, k = 0; i < at.length; i++) for (let j = 0; j < n; j++) next[k++] = at[i]! + j * strides[axis]!;
    at = next;
  });
  return at;
}

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, n, i) => sum + n * b[i]!, 0);

/** Strides with which a tensor of `shape` is read as one of the (longer) shape `to`: 0 along broadcast axes. */
function broadcastStrides(shape: Shape, to: Shape): number[] {
  const strides = stridesOf(shape);
  const lead = to.length - shape.length;
  return to.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : strides[i - lead]!));
}

function broadcastTo({ shape, data }: Value, to: Shape): Float64Array {
  return show(shape) === show(to) ? data : gather(data, positions(to, broadcastStrides(shape, to)));
}

function gather(data: Float64Array, at: Int32Array): Float64Array {
  const result = new Float64Array(at.length);
  for (let i = 0; i < at.length; i++) result[i] = data[at[i]!]!;
  return result;
}

const unary =
  (f: (x: number) => number) =>
  (_: Node, [x]: readonly Value[]): Float64Array =>
    x!.data.map(f);

const binary =
  (f: (a: number, b: number) => number) =>
  (_: Node, [x, y]: readonly Value[], { shape }: Type): Float64Array => {
    const [a, b] = [broadcastTo(x!, shape), broadcastTo(y!, shape)];
    return a.map((value, i) => f(value, b[i]!));
  };

const reduction =
  (initial: number, f: (sofar: number, x: number) => number) =>
  (_: Node, [x]: readonly Value[], { shape }: Type): Float64Array => {
    const result = new Float64Array(sizeOf(shape)).fill(initial);
    const target = positions(x!.shape, broadcastStrides(shape, x!.shape));
    for (let i = 0; i < target.length; i++) result[target[i]!] = f(result[target[i]!]!, x!.data[i]!);
    return result;
  };

/** Applies a function from row to row over the last axis. */
function rows({ shape, data }: Value, f: (row: Float64Array) => ArrayLike<number>): Float64Array {
  const n = shape.at(-1)!;
  const results = Array.from({ length: data.length / n }, (_, i) => f(data.subarray(i * n, (i + 1) * n)));
  const result = new Float64Array(results.reduce((sum, row) => sum + row.length, 0));
  results.forEach((row, i) => void result.set(row, i * row.length));
  return result;
}

const mean = (row: Float64Array): number => row.reduce((sum, x) => sum + x, 0) / row.length;
const variance = (row: Float64Array): number => {
  const center = mean(row);
  return mean(row.map((x) => (x - center) ** 2));
};
const logSoftmax = (row: Float64Array): Float64Array => {
  const top = row.reduce((a, b) => Math.max(a, b));
  const total = top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
  return row.map((x) => x - total);
};

/** Series near zero, continued fraction of erfc beyond (Abramowitz & Stegun 7.1.6 and 7.1.14). */
export function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x > 6) return 1;
  if (x < 3) {
    let [sum, term] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * sum; n++) sum += term *= (2 * x * x) / (2 * n + 1);
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction;
  return 1 - Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}

/**
 * Visits every product of a convolution, a run of one output row at a time: y[out + j] pairs with x[at + j * stride] and
 * weight[tap], for j in 0..count-1.
 */
function eachRun(
  [x, weight, y]: readonly [Shape, Shape, Shape],
  { stride, padding }: Conv2dGeometry,
  visit: (at: number, tap: number, out: number, count: number) => void,
): void {
  const [batch, channels, height, width] = x as [number, number, number, number];
  const [outs, , kh, kw] = weight as [number, number, number, number];
  const [, , h, w] = y as [number, number, number, number];
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < outs; o++)
      for (let c = 0; c < channels; c++)
        for (let ky = 0; ky < kh; ky++)
          for (let kx = 0; kx < kw; kx++) {
            const tap = ((o * channels + c) * kh + ky) * kw + kx;
            const first = Math.max(0, Math.ceil((padding - kx) / stride));
            const last = Math.min(w - 1, Math.floor((width - 1 + padding - kx) / stride));
            for (let row = 0; row < h; row++) {
              const source = row * stride + ky - padding;
              if (source < 0 || source >= height) continue;
              const at = ((n * channels + c) * height + source) * width + first * stride + kx - padding;
              visit(at, tap, ((n * outs + o) * h + row) * w + first, last - first + 1);
            }
          }
}

/** A straightforward meaning for every operator. */
const rules: { readonly [K in Op]: Rule<K> } = {
  input: ({ attributes: { name } }) => {
    throw new Error(`input "${name}" was not given`);
  },
  constant: ({ attributes: { value } }) => Float64Array.from(value.data, Number),

  neg: unary((x) => -x),
  abs: unary(Math.abs),
  exp: unary(Math.exp),
  log: unary(Math.log),
  sqrt: unary(Math.sqrt),
  reciprocal: unary((x) => 1 / x),
  sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  silu: unary((x) => x / (1 + Math.exp(-x))),
  tanh: unary(Math.tanh),
  erf: unary(erf),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  cast: ({ attributes: { dtype } }, [x]) => {
    if (dtype === "float32") return x!.data;
    return x!.data.map(dtype === "bool" ? (value) => Number(value !== 0) : Math.trunc);
  },
  stopGradient: (_, [x]) => x!.data,

  add: binary((a, b) => a + b),
  sub: binary((a, b) => a - b),
  mul: binary((a, b) => a * b),
  div: (node, inputs, result) => {
    const quotient = binary((a, b) => a / b)(node, inputs, result);
    return result.dtype === "float32" ? quotient : quotient.map(Math.trunc);
  },
  pow: binary(Math.pow),
  maximum: binary(Math.max),
  minimum: binary(Math.min),
  less: binary((a, b) => Number(a < b)),
  equal: binary((a, b) => Number(a === b)),
  where: (_, inputs, { shape }) => {
    const [condition, a, b] = inputs.map((value) => broadcastTo(value, shape));
    return condition!.map((holds, i) => (holds ? a![i]! : b![i]!));
  },

  sum: reduction(0, (sum, x) => sum + x),
  max: reduction(Number.NEGATIVE_INFINITY, Math.max),
  argmax: ({ attributes: { axis } }, [x]) => {
    const [n, stride] = [x!.shape[axis]!, stridesOf(x!.shape)[axis]!];
    return Float64Array.from({ length: x!.data.length / n }, (_, i) => {
      const first = Math.floor(i / stride) * stride * n + (i % stride);
      const column = Array.from({ length: n }, (_, k) => x!.data[first + k * stride]!);
      return column.indexOf(Math.max(...column));
    });
  },
  kthLargest: ({ attributes: { k } }, [x]) => rows(x!, (row) => [row.toSorted((a, b) => b - a)[k - 1]!]),
  softmax: (_, [x]) => rows(x!, (row) => logSoftmax(row).map(Math.exp)),
  logSoftmax: (_, [x]) => rows(x!, logSoftmax),
  normalize: ({ attributes: { epsilon } }, [x]) =>
    rows(x!, (row) => {
      const [center, std] = [mean(row), Math.sqrt(variance(row) + epsilon)];
      return row.map((value) => (value - center) / std);
    }),
  inverseStd: ({ attributes: { epsilon } }, [x]) => rows(x!, (row) => [1 / Math.sqrt(variance(row) + epsilon)]),

  groupNorm: ({ attributes: { groups, epsilon } }, [x, scale, shift]) => {
    const [n, channels] = x!.shape as [number, number];
    const perImage = scale!.shape[0] === n;
    const pixels = x!.data.length / (n * channels);
    const normalized = rows({ shape: [n * groups, x!.data.length / (n * groups)], data: x!.data }, (row) => {
      const [center, std] = [mean(row), Math.sqrt(variance(row) + epsilon)];
      return row.map((value) => (value - center) / std);
    });
    return normalized.map((value, i) => {
      const at = Math.floor(i / pixels) % (perImage ? n * channels : channels);
      return value * scale!.data[at]! + shift!.data[at % shift!.data.length]!;
    });
  },

  reshape: (_, [x]) => x!.data,
  permute: ({ attributes: { axes } }, [x], { shape }) => {
    const strides = stridesOf(x!.shape);
    const moved = axes.map((axis) => strides[axis]!);
    return gather(x!.data, positions(shape, moved));
  },
  expand: (_, [x], { shape }) => broadcastTo(x!, shape),
  slice: ({ attributes: { starts } }, [x], { shape }) => {
    const strides = stridesOf(x!.shape);
    return gather(x!.data, positions(shape, strides, dot(starts, strides)));
  },
  pad: ({ attributes: { before, after } }, [x], { shape }) => {
    // The box of x that stays: from `low` on, of lengths `kept`.
    const low = before.map((n) => Math.max(0, -n));
    const kept = x!.shape.map((n, i) => Math.max(0, n - low[i]! - Math.max(0, -after[i]!)));
    const [from, to] = [stridesOf(x!.shape), stridesOf(shape)];
    const source = positions(kept, from, dot(low, from));
    const target = positions(
      kept,
      to,
      dot(
        low.map((n, i) => n + before[i]!),
        to,
      ),
    );
    const result = new Float64Array(sizeOf(shape));
    for (let i = 0; i < source.length; i++) result[target[i]!] = x!.data[source[i]!]!;
    return result;
  },
  flip: ({ attributes: { axes } }, [x], { shape }) => {
    const strides = stridesOf(shape);
    const last = axes.reduce((sum, axis) => sum + (shape[axis]! - 1) * strides[axis]!, 0);
    const signed = strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride));
    return gather(x!.data, positions(shape, signed, last));
  },
  concat: ({ attributes: { axis } }, inputs, { shape }) => {
    const strides = stridesOf(shape);
    const result = new Float64Array(sizeOf(shape));
    let start = 0;
    for (const input of inputs) {
      positions(input.shape, strides, start * strides[axis]!).forEach((at, i) => {
        result[at] = input.data[i]!;
      });
      start += input.shape[axis]!;
    }
    return result;
  },
  gather: ({ attributes: { axis } }, [x, indices]) => {
    const at = slicesAt(x!.shape, axis, indices!);
    return Float64Array.from(at, (place) => x!.data[place]!);
  },
  scatterAdd: ({ attributes: { axis } }, [slices, indices], { shape }) => {
    const result = new Float64Array(sizeOf(shape));
    slicesAt(shape, axis, indices!).forEach((place, i) => {
      result[place]! += slices!.data[i]!;
    });
    return result;
  },

  matmul: (_, [a, b], { shape }) => {
    const batch = shape.slice(0, -2);
    const [m, k, n] = [a!.shape.at(-2)!, a!.shape.at(-1)!, b!.shape.at(-1)!];
    const [left, right] = [a!, b!].map((value) => {
      const matrices = value.shape.slice(0, -2);
      return positions(batch, broadcastStrides(matrices, batch));
    });
    const [x, y] = [a!.data, b!.data];
    const result = new Float64Array(sizeOf(shape));
    for (let p = 0; p < sizeOf(batch); p++)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < k; j++) {
          const value = x[left![p]! * m * k + i * k + j]!;
          const [row, out] = [right![p]! * k * n + j * n, (p * m + i) * n];
          for (let l = 0; l < n; l++) result[out + l]! += value * y[row + l]!;
        }
    return result;
  },
  conv2d: ({ attributes: geometry }, [x, weight, bias], { shape }) => {
    const [, outs, h, w] = shape as [number, number, number, number];
    const result = new Float64Array(sizeOf(shape));
    if (bias) for (let i = 0; i < result.length; i++) result[i] = bias.data[Math.floor(i / (h * w)) % outs]!;
    const [{ data: source }, { data: taps }, { stride }] = [x!, weight!, geometry];
    eachRun([x!.shape, weight!.shape, shape], geometry, (at, tap, out, count) => {
      for (let j = 0; j < count; j++) result[out + j]! += taps[tap]! * source[at + j * stride]!;
    });
    return result;
  },
  conv2dInputGradient: ({ attributes: geometry }, [dy, weight], { shape }) => {
    const result = new Float64Array(sizeOf(shape));
    const [{ data: cotangent }, { data: taps }, { stride }] = [dy!, weight!, geometry];
    eachRun([shape, weight!.shape, dy!.shape], geometry, (at, tap, out, count) => {
      for (let j = 0; j < count; j++) result[at + j * stride]! += taps[tap]! * cotangent[out + j]!;
    });
    return result;
  },
  conv2dWeightGradient: ({ attributes: geometry }, [x, dy], { shape }) => {
    const result = new Float64Array(sizeOf(shape));
    const [{ data: source }, { data: cotangent }, { stride }] = [x!, dy!, geometry];
    eachRun([x!.shape, shape, dy!.shape], geometry, (at, tap, out, count) => {
      let sum = 0;
      for (let j = 0; j < count; j++) sum += source[at + j * stride]! * cotangent[out + j]!;
      result[tap]! += sum;
    });
    return result;
  },

  averagePool2d: ({ attributes: { factor } }, [x], { shape }) => {
    const result = new Float64Array(sizeOf(shape));
    coarse(x!.shape, factor).forEach((at, i) => {
      result[at]! += x!.data[i]! / factor ** 2;
    });
    return result;
  },
  upsampleNearest2d: ({ attributes: { factor } }, [x], { shape }) => gather(x!.data, coarse(shape, factor)),
};

/** For each element that indices choose along an axis of `shape`, in order, its position there. */
function slicesAt(shape: Shape, axis: number, { data: indices }: Value): number[] {
  const n = shape[axis]!;
  const [before, after] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
  const places: number[] = [];
  for (let i = 0; i < before; i++)
    for (const index of indices) {
      if (index < -n || index >= n) throw new Error(`index ${index} is outside 0 ... ${n - 1}`);
      for (let k = 0; k < after; k++) places.push((i * n + (index < 0 ? index + n : index)) * after + k);
    }
  return places;
}

/** For each pixel of [N, C, H, W], the position of its block in [N, C, H / factor, W / factor]. */
function coarse([n, c, h, w]: Shape, factor: number): Int32Array {
  const [rows, columns] = [h! / factor, w! / factor];
  return Int32Array.from({ length: n! * c! * h! * w! }, (_, i) => {
    const [plane, y, x] = [Math.floor(i / (h! * w!)), Math.floor(i / w!) % h!, i % w!];
    return (plane * rows + Math.floor(y / factor)) * columns + Math.floor(x / factor);
  });
}

/**
 * Evaluates tensors in float64, each distinct one once, with plain loops that share nothing with the engine.
 *
 * @param inputs a value for each `input` leaf, by name.
 */
export function evaluate<K extends string>(
  outputs: Readonly<Record<K, AnyTensor>>,
  inputs: Readonly<Record<string, Given>> = {},
): Record<K, { shape: number[]; data: Float64Array }> {
  const values = new Map<AnyTensor, Value>();
  for (const tensor of topological(Object.values<AnyTensor>(outputs))) {
    const { node, shape } = tensor;
    const given = node.op === "input" ? inputs[node.attributes.name] : undefined;
    if (given && show(given.shape) !== show(shape))
      throw new Error(`an input is ${show(shape)} but the value given is ${show(given.shape)}`);
    const data = given
      ? Float64Array.from(given.data)
      : (rules[node.op] as Rule<Op>)(
          node,
          node.inputs.map((input) => values.get(input)!),
          tensor,
        );
    if (data.length !== tensor.size) throw new Error(`${node.op}: ${data.length} elements for ${show(shape)}`);
    values.set(tensor, { shape, data });
  }
  return Object.fromEntries(
    Object.entries<AnyTensor>(outputs).map(([name, tensor]) => [
      name,
      { shape: [...tensor.shape], data: values.get(tensor)!.data.slice() },
    ]),
  ) as Record<K, { shape: number[]; data: Float64Array }>;
}
