import { ShapeError } from "../errors.ts";
import { type DType, type Shape, sizeOf } from "../ndarray.ts";
import type { Attributes, Op } from "./ops.ts";

/** What a shape rule reads and says of a tensor. */
export interface Type<D extends DType = DType> {
  readonly shape: Shape;
  readonly dtype: D;
}

type Rule<K extends Op> = (inputs: readonly Type[], attributes: Attributes[K], op: K) => Type;

/** `[2, 3]`, as every message prints a shape. */
export const show = (shape: Shape): string => `[${shape.join(", ")}]`;

const fail = (op: Op, problem: string): never => {
  throw new ShapeError(`${op}: ${problem}`);
};

/** The shape that two shapes broadcast to, numpy's way. */
export function broadcast(op: Op, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1)
      fail(op, `${show(a)} and ${show(b)} do not broadcast (axis ${i}: ${m} against ${n})`);
    return m === 1 ? n : m;
  });
}

function float(op: Op, ...inputs: readonly Type[]): void {
  for (const { dtype, shape } of inputs)
    if (dtype !== "float32") fail(op, `takes float32 but got ${dtype} ${show(shape)}; cast it first`);
}

const unary = <K extends Op>([x]: readonly Type[], _: Attributes[K], op: K): Type => {
  float(op, x!);
  return x!;
};

function sameType(op: Op, a: Type, b: Type): DType {
  if (a.dtype !== b.dtype)
    fail(op, `operands have different types: ${a.dtype} ${show(a.shape)} and ${b.dtype} ${show(b.shape)}`);
  return a.dtype;
}

const binary = <K extends Op>([a, b]: readonly Type[], _: Attributes[K], op: K): Type => ({
  dtype: sameType(op, a!, b!),
  shape: broadcast(op, a!.shape, b!.shape),
});

const comparison = <K extends Op>(inputs: readonly Type[], attributes: Attributes[K], op: K): Type => ({
  ...binary(inputs, attributes, op),
  dtype: "bool",
});

function checkAxes(op: Op, shape: Shape, axes: readonly number[]): void {
  for (const axis of axes)
    if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) fail(op, `axis ${axis} is outside ${show(shape)}`);
  if (new Set(axes).size !== axes.length) fail(op, `axes [${axes}] name one axis twice`);
}

const reduction = <K extends "sum" | "max">([x]: readonly Type[], { axes }: Attributes[K], op: K): Type => {
  float(op, x!);
  checkAxes(op, x!.shape, axes);
  return { dtype: x!.dtype, shape: x!.shape.map((n, i) => (axes.includes(i) ? 1 : n)) };
};

const lastAxis = <K extends Op>([x]: readonly Type[], _: Attributes[K], op: K): Type => {
  float(op, x!);
  if (x!.shape.length === 0) fail(op, "takes at least one axis but got a scalar");
  return x!;
};

function image(op: Op, name: string, { shape }: Type): readonly [number, number, number, number] {
  if (shape.length !== 4) fail(op, `${name} must be [N, C, H, W] but is ${show(shape)}`);
  return shape as readonly [number, number, number, number];
}

const convolved = (size: number, kernel: number, { stride, padding }: { stride: number; padding: number }): number =>
  Math.floor((size + 2 * padding - kernel) / stride) + 1;

/** One shape rule per operator. Throws ShapeError with the operator and the shapes that came. */
export const shapeRules: { readonly [K in Op]: Rule<K> } = {
  input: (_, { shape, dtype }) => ({ shape, dtype }),
  constant: (_, { value }) => ({ shape: value.shape, dtype: value.dtype }),

  neg: unary,
  abs: unary,
  exp: unary,
  log: unary,
  sqrt: unary,
  reciprocal: unary,
  sigmoid: unary,
  silu: unary,
  tanh: unary,
  erf: unary,
  sin: unary,
  cos: unary,
  stopGradient: ([x]) => x!,
  cast: ([x], { dtype }) => ({ shape: x!.shape, dtype }),

  add: binary,
  sub: binary,
  mul: binary,
  div: binary,
  maximum: binary,
  minimum: binary,
  less: comparison,
  equal: comparison,
  where: ([condition, a, b], _, op) => {
    if (condition!.dtype !== "bool")
      fail(op, `condition must be bool but is ${condition!.dtype} ${show(condition!.shape)}`);
    return { dtype: sameType(op, a!, b!), shape: broadcast(op, condition!.shape, broadcast(op, a!.shape, b!.shape)) };
  },

  sum: reduction,
  max: reduction,
  softmax: lastAxis,
  logSoftmax: lastAxis,
  normalize: lastAxis,
  inverseDeviation: (inputs, attributes, op) => {
    const { shape, dtype } = lastAxis(inputs, attributes, op);
    return { dtype, shape: [...shape.slice(0, -1), 1] };
  },
  kthLargest: (inputs, attributes, op) => {
    const { shape, dtype } = lastAxis(inputs, attributes, op);
    const { k } = attributes;
    if (!Number.isInteger(k) || k < 1 || k > shape.at(-1)!)
      fail(op, `k must be from 1 to the length of the last axis of ${show(shape)} but is ${k}`);
    return { dtype, shape: [...shape.slice(0, -1), 1] };
  },
  groupNorm: ([x, scale, shift], { groups }, op) => {
    float(op, x!, scale!, shift!);
    const [n, channels] = x!.shape;
    if (channels === undefined || channels % groups)
      fail(op, `x ${show(x!.shape)} must be [N, C, ...] with C divisible by ${groups} groups`);
    for (const [name, { shape }] of [
      ["scale", scale!],
      ["shift", shift!],
    ] as const)
      if (shape.length !== 2 || (shape[0] !== 1 && shape[0] !== n) || shape[1] !== channels)
        fail(op, `${name} must be [${n} or 1, ${channels}] for x ${show(x!.shape)} but is ${show(shape)}`);
    return x!;
  },

  reshape: ([x], { shape }, op) => {
    if (sizeOf(shape) !== sizeOf(x!.shape))
      fail(op, `${show(x!.shape)} has ${sizeOf(x!.shape)} elements but ${show(shape)} has ${sizeOf(shape)}`);
    return { dtype: x!.dtype, shape };
  },
  permute: ([x], { axes }, op) => {
    checkAxes(op, x!.shape, axes);
    if (axes.length !== x!.shape.length) fail(op, `axes [${axes}] must name every axis of ${show(x!.shape)} once`);
    return { dtype: x!.dtype, shape: axes.map((axis) => x!.shape[axis]!) };
  },
  expand: ([x], { shape }, op) => {
    if (show(broadcast(op, x!.shape, shape)) !== show(shape))
      fail(op, `${show(x!.shape)} does not expand to ${show(shape)}`);
    return { dtype: x!.dtype, shape };
  },
  slice: ([x], { starts, ends }, op) => {
    if (starts.length !== x!.shape.length || ends.length !== x!.shape.length)
      fail(op, `starts [${starts}] and ends [${ends}] must have one entry per axis of ${show(x!.shape)}`);
    const shape = x!.shape.map((n, i) => {
      const [start, end] = [starts[i]!, ends[i]!];
      if (start < 0 || end > n || start >= end)
        fail(op, `${start} to ${end} is not a range of axis ${i} of ${show(x!.shape)}`);
      return end - start;
    });
    return { dtype: x!.dtype, shape };
  },
  pad: ([x], { before, after }, op) => {
    float(op, x!);
    if (before.length !== x!.shape.length || after.length !== x!.shape.length)
      fail(op, `amounts [${before}] and [${after}] must have one entry per axis of ${show(x!.shape)}`);
    const shape = x!.shape.map((n, i) => n + before[i]! + after[i]!);
    if (shape.some((n) => n < 1)) fail(op, `amounts [${before}] and [${after}] leave nothing of ${show(x!.shape)}`);
    return { dtype: x!.dtype, shape };
  },
  flip: ([x], { axes }, op) => {
    checkAxes(op, x!.shape, axes);
    return x!;
  },
  concat: (inputs, { axis }, op) => {
    const first = inputs[0] ?? fail(op, "takes at least one tensor");
    checkAxes(op, first.shape, [axis]);
    let length = 0;
    for (const input of inputs) {
      sameType(op, first, input);
      if (input.shape.length !== first.shape.length || input.shape.some((n, i) => i !== axis && n !== first.shape[i]))
        fail(op, `${show(first.shape)} and ${show(input.shape)} differ outside axis ${axis}`);
      length += input.shape[axis]!;
    }
    return { dtype: first.dtype, shape: first.shape.map((n, i) => (i === axis ? length : n)) };
  },

  matmul: ([a, b], _, op) => {
    // In float64 too, for statistics; networks are float32.
    if (sameType(op, a!, b!) !== "float64") float(op, a!, b!);
    if (a!.shape.length < 2 || b!.shape.length < 2 || a!.shape.at(-1) !== b!.shape.at(-2))
      fail(op, `${show(a!.shape)} and ${show(b!.shape)} do not multiply: takes [..., M, K] and [..., K, N]`);
    const batch = broadcast(op, a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return { dtype: a!.dtype, shape: [...batch, a!.shape.at(-2)!, b!.shape.at(-1)!] };
  },
  conv2d: ([x, weight, bias], geometry, op) => {
    float(op, ...(bias ? [x!, weight!, bias] : [x!, weight!]));
    const [n, channels, height, width] = image(op, "x", x!);
    const [out, inputs, kh, kw] = image(op, "weight", weight!);
    if (inputs !== channels)
      fail(op, `weight is ${show(weight!.shape)} (expects ${inputs} input channels) but x is ${show(x!.shape)}`);
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== out))
      fail(op, `bias must be [${out}] for weight ${show(weight!.shape)} but is ${show(bias.shape)}`);
    const [h, w] = [convolved(height, kh, geometry), convolved(width, kw, geometry)];
    if (h < 1 || w < 1)
      fail(op, `x ${show(x!.shape)} is smaller than weight ${show(weight!.shape)} with padding ${geometry.padding}`);
    return { dtype: "float32", shape: [n, out, h, w] };
  },
  conv2dInputGradient: ([cotangent, weight], { size, ...geometry }, op) => {
    float(op, cotangent!, weight!);
    const [n, out, h, w] = image(op, "cotangent", cotangent!);
    const [weightOut, inputs, kh, kw] = image(op, "weight", weight!);
    if (out !== weightOut || convolved(size[0], kh, geometry) !== h || convolved(size[1], kw, geometry) !== w)
      fail(
        op,
        `cotangent ${show(cotangent!.shape)} is not what weight ${show(weight!.shape)} makes of ${size[0]}x${size[1]} images`,
      );
    return { dtype: "float32", shape: [n, inputs, size[0], size[1]] };
  },
  conv2dWeightGradient: ([x, cotangent], { kernel, ...geometry }, op) => {
    float(op, x!, cotangent!);
    const [n, inputs, height, width] = image(op, "x", x!);
    const [m, out, h, w] = image(op, "cotangent", cotangent!);
    if (n !== m || convolved(height, kernel[0], geometry) !== h || convolved(width, kernel[1], geometry) !== w)
      fail(
        op,
        `cotangent ${show(cotangent!.shape)} is not what a ${kernel[0]}x${kernel[1]} kernel makes of x ${show(x!.shape)}`,
      );
    return { dtype: "float32", shape: [out, inputs, kernel[0], kernel[1]] };
  },

  averagePool2d: ([x], { factor }, op) => {
    float(op, x!);
    const [n, c, h, w] = image(op, "x", x!);
    if (h % factor || w % factor) fail(op, `height and width of x ${show(x!.shape)} must be divisible by ${factor}`);
    return { dtype: "float32", shape: [n, c, h / factor, w / factor] };
  },
  upsampleNearest2d: ([x], { factor }, op) => {
    float(op, x!);
    const [n, c, h, w] = image(op, "x", x!);
    return { dtype: "float32", shape: [n, c, h * factor, w * factor] };
  },
};
