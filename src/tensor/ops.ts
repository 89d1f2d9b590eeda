import { type DType, type NDArray, sizeOf } from "../ndarray.ts";
import {
  type Axes,
  arithmetic,
  broadcast,
  checkAxes,
  convolved,
  fail,
  float,
  image,
  lastAxis,
  lastAxisReduced,
  type None,
  pairwise,
  reduction,
  sameType,
  show,
  type Type,
  type Types,
  unary,
  whole,
} from "./shape.ts";

/** Geometry of a two-dimensional convolution; the same in both directions. */
export interface Conv2dGeometry {
  readonly stride: number;
  readonly padding: number;
}

interface Axis {
  readonly axis: number;
}
interface Epsilon {
  readonly epsilon: number;
}
interface Factor {
  readonly factor: number;
}

/**
 * The closed list of operators. Each entry is an operator's shape rule: of the types of its inputs and of its attributes, the type of
 * its one result; it throws ShapeError with the operator and the shapes that came. Beside it an operator has a gradient rule in
 * `gradient.ts` and becomes ONNX in `onnx/emit.ts` or `onnx/lower.ts`, in tables typed by this list: one without a rule does not
 * compile. `tensor.ts` has a method or function for it.
 */
export const operators = {
  /** Leaf: a value given at run time. */
  input: (_, { shape, dtype }: Type & { readonly name: string }) => ({ shape, dtype }),
  /** Leaf: a value known while tracing. */
  constant: (_, { value }: { readonly value: NDArray }) => ({ shape: value.shape, dtype: value.dtype }),

  // Element-wise
  neg: unary,
  abs: unary,
  exp: unary,
  log: unary,
  sqrt: unary,
  reciprocal: unary,
  sigmoid: unary,
  /** x sigmoid(x). */
  silu: unary,
  tanh: unary,
  erf: unary,
  sin: unary,
  cos: unary,
  cast: ([x], { dtype }: { readonly dtype: DType }) => ({ shape: x!.shape, dtype }),
  /** Identity whose gradient is zero. */
  stopGradient: ([x]) => x!,

  // Element-wise with broadcasting
  add: arithmetic,
  sub: arithmetic,
  mul: arithmetic,
  div: arithmetic,
  pow: (inputs, _: None, op) => {
    float(op, ...inputs);
    return pairwise(inputs, _, op);
  },
  maximum: arithmetic,
  minimum: arithmetic,
  less: (inputs, _: None, op) => ({ ...arithmetic(inputs, _, op), dtype: "bool" }),
  equal: (inputs, _: None, op) => ({ ...pairwise(inputs, _, op), dtype: "bool" }),
  where: ([condition, a, b], _: None, op) => {
    if (condition!.dtype !== "bool")
      fail(op, `condition must be bool but is ${condition!.dtype} ${show(condition!.shape)}`);
    return { dtype: sameType(op, a!, b!), shape: broadcast(op, condition!.shape, broadcast(op, a!.shape, b!.shape)) };
  },

  // Reductions; reduced axes stay with length 1
  sum: reduction,
  max: reduction,
  /** The first place of the largest element along one axis. */
  argmax: ([x], { axis }: Axis, op) => {
    float(op, x!);
    checkAxes(op, x!.shape, [axis]);
    return { dtype: "int32", shape: x!.shape.with(axis, 1) };
  },

  // Over the last axis
  softmax: lastAxis,
  logSoftmax: lastAxis,
  /** (x - mean) / sqrt(variance + epsilon), biased variance. */
  normalize: (inputs, attributes: Epsilon, op) => lastAxis(inputs, attributes, op),
  /** 1 / sqrt(variance + epsilon); the last axis stays with length 1. */
  inverseStd: (inputs, attributes: Epsilon, op) => lastAxisReduced(inputs, attributes, op),
  /** The k-th largest element, k from 1, of equal ones each counted; the last axis stays with length 1. */
  kthLargest: (inputs, { k }: { readonly k: number }, op) => {
    const { shape } = lastAxis(inputs, {}, op);
    if (!Number.isInteger(k) || k < 1 || k > shape.at(-1)!)
      fail(op, `k must be from 1 to the length of the last axis of ${show(shape)} but is ${k}`);
    return lastAxisReduced(inputs, {}, op);
  },
  /**
   * Group normalization with scale and shift: x [N, C, ...], scale and shift [N or 1, C] -> scale * normalized(x) + shift, each
   * image's groups of neighbouring channels normalized together.
   */
  groupNorm: ([x, scale, shift], { groups }: Epsilon & { readonly groups: number }, op) => {
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

  // Movement
  reshape: ([x], { shape }: Pick<Type, "shape">, op) => {
    if (sizeOf(shape) !== sizeOf(x!.shape))
      fail(op, `${show(x!.shape)} has ${sizeOf(x!.shape)} elements but ${show(shape)} has ${sizeOf(shape)}`);
    return { dtype: x!.dtype, shape };
  },
  permute: ([x], { axes }: Axes, op) => {
    checkAxes(op, x!.shape, axes);
    if (axes.length !== x!.shape.length) fail(op, `axes [${axes}] must name every axis of ${show(x!.shape)} once`);
    return { dtype: x!.dtype, shape: axes.map((axis) => x!.shape[axis]!) };
  },
  expand: ([x], { shape }: Pick<Type, "shape">, op) => {
    if (show(broadcast(op, x!.shape, shape)) !== show(shape))
      fail(op, `${show(x!.shape)} does not expand to ${show(shape)}`);
    return { dtype: x!.dtype, shape };
  },
  slice: ([x], { starts, ends }: Readonly<Record<"starts" | "ends", readonly number[]>>, op) => {
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
  /** Zeros around; a negative amount crops. */
  pad: ([x], { before, after }: Readonly<Record<"before" | "after", readonly number[]>>, op) => {
    float(op, x!);
    if (before.length !== x!.shape.length || after.length !== x!.shape.length)
      fail(op, `amounts [${before}] and [${after}] must have one entry per axis of ${show(x!.shape)}`);
    const shape = x!.shape.map((n, i) => n + before[i]! + after[i]!);
    if (shape.some((n) => n < 1)) fail(op, `amounts [${before}] and [${after}] leave nothing of ${show(x!.shape)}`);
    return { dtype: x!.dtype, shape };
  },
  flip: ([x], { axes }: Axes, op) => {
    checkAxes(op, x!.shape, axes);
    return x!;
  },
  concat: (inputs, { axis }: Axis, op) => {
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
  /** The slices x[..., i, ...] of one axis for each index i, whose axes take its place; a negative index counts from the end. */
  gather: ([x, indices], { axis }: Axis, op) => {
    whole(op, indices!);
    checkAxes(op, x!.shape, [axis]);
    return { dtype: x!.dtype, shape: x!.shape.toSpliced(axis, 1, ...indices!.shape) };
  },
  /** Adjoint of gather in x: zeros of x's shape, `length` along the axis, to which each slice is added at its index. */
  scatterAdd: ([slices, indices], { axis, length }: Axis & { readonly length: number }, op) => {
    float(op, slices!);
    whole(op, indices!);
    const end = axis + indices!.shape.length;
    if (show(slices!.shape.slice(axis, end)) !== show(indices!.shape))
      fail(
        op,
        `slices ${show(slices!.shape)} must have the indices' axes ${show(indices!.shape)} from axis ${axis} on`,
      );
    return { dtype: "float32", shape: slices!.shape.toSpliced(axis, indices!.shape.length, length) };
  },

  // Linear algebra
  matmul: ([a, b], _: None, op) => {
    // In float64 too, for statistics; networks are float32.
    if (sameType(op, a!, b!) !== "float64") float(op, a!, b!);
    if (a!.shape.length < 2 || b!.shape.length < 2 || a!.shape.at(-1) !== b!.shape.at(-2))
      fail(op, `${show(a!.shape)} and ${show(b!.shape)} do not multiply: takes [..., M, K] and [..., K, N]`);
    const batch = broadcast(op, a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return { dtype: a!.dtype, shape: [...batch, a!.shape.at(-2)!, b!.shape.at(-1)!] };
  },
  /** x [N, I, H, W], weight [O, I, K, K], optional bias [O]. */
  conv2d: ([x, weight, bias], geometry: Conv2dGeometry, op) => {
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
  /** Adjoint of conv2d in x: cotangent [N, O, H', W'], weight [O, I, K, K] -> [N, I, H, W]. */
  conv2dInputGradient: (
    [cotangent, weight],
    { size, ...geometry }: Conv2dGeometry & { readonly size: readonly [number, number] },
    op,
  ) => {
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
  /** Adjoint of conv2d in weight: x [N, I, H, W], cotangent [N, O, H', W'] -> [O, I, K, K]. */
  conv2dWeightGradient: (
    [x, cotangent],
    { kernel, ...geometry }: Conv2dGeometry & { readonly kernel: readonly [number, number] },
    op,
  ) => {
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

  // Resampling of [N, C, H, W] by an integer factor
  averagePool2d: ([x], { factor }: Factor, op) => {
    float(op, x!);
    const [n, c, h, w] = image(op, "x", x!);
    if (h % factor || w % factor) fail(op, `height and width of x ${show(x!.shape)} must be divisible by ${factor}`);
    return { dtype: "float32", shape: [n, c, h / factor, w / factor] };
  },
  upsampleNearest2d: ([x], { factor }: Factor, op) => {
    float(op, x!);
    const [n, c, h, w] = image(op, "x", x!);
    return { dtype: "float32", shape: [n, c, h * factor, w * factor] };
  },
} satisfies Readonly<Record<string, (inputs: Types, attributes: never, op: string) => Type>>;

export type Op = keyof typeof operators;

/** Operators that expand their two inputs to one shape by themselves. */
export const broadcasting: ReadonlySet<Op> = new Set<Op>([
  "add",
  "sub",
  "mul",
  "div",
  "pow",
  "maximum",
  "minimum",
  "less",
  "equal",
]);

/** Attributes of each operator. */
export type Attributes = {
  readonly [K in Op]: Parameters<(typeof operators)[K]> extends readonly [Types, infer A, ...unknown[]] ? A : None;
};

/** Element type of an operator's result: its own, or that of its inputs, D. */
export type ResultType<K extends Op, D extends DType> =
  ReturnType<(typeof operators)[K]> extends Type<infer R> ? (DType extends R ? D : R) : never;

/** The type of an operator's result. Throws ShapeError where the inputs do not fit. */
export const resultOf = <K extends Op>(op: K, inputs: Types, attributes: Attributes[K]): Type =>
  (operators[op] as (inputs: Types, attributes: Attributes[K], op: string) => Type)(inputs, attributes, op);
