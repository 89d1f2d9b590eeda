import { ShapeError } from "../errors.ts";
import { type DType, float32, int32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import type { Attributes, Op } from "./ops.ts";
import { shapeRules, show, type Type } from "./shape.ts";

/** One application of an operator: a discriminated union over all of them. */
export type Node<K extends Op = Op> = {
  [P in K]: { readonly op: P; readonly inputs: readonly Tensor[]; readonly attributes: Attributes[P] };
}[K];

/** What arithmetic accepts beside a tensor: a number becomes a constant of the other operand's type. */
export type Operand = Tensor | number;

/**
 * A symbolic value: the application of one operator. Immutable; holds no numbers and owns nothing. Methods are arithmetic,
 * reductions and movement with numpy's meaning and broadcasting; each throws ShapeError at once where shapes do not fit.
 */
export class Tensor implements Type {
  readonly node: Node;
  readonly shape: Shape;
  readonly dtype: DType;

  constructor(node: Node, type: Type) {
    this.node = node;
    this.shape = type.shape;
    this.dtype = type.dtype;
  }

  get rank(): number {
    return this.shape.length;
  }
  get size(): number {
    return sizeOf(this.shape);
  }

  add(other: Operand): Tensor {
    return isNumber(other, 0) ? this : apply("add", [this, like(this, other)], {});
  }
  sub(other: Operand): Tensor {
    return isNumber(other, 0) ? this : apply("sub", [this, like(this, other)], {});
  }
  mul(other: Operand): Tensor {
    return isNumber(other, 1) ? this : apply("mul", [this, like(this, other)], {});
  }
  div(other: Operand): Tensor {
    return isNumber(other, 1) ? this : apply("div", [this, like(this, other)], {});
  }
  maximum(other: Operand): Tensor {
    return apply("maximum", [this, like(this, other)], {});
  }
  minimum(other: Operand): Tensor {
    return apply("minimum", [this, like(this, other)], {});
  }
  /** Limits every element to [low, high]; the gradient passes inside only. */
  clip(low: number, high: number): Tensor {
    return this.maximum(low).minimum(high);
  }
  less(other: Operand): Tensor {
    return apply("less", [this, like(this, other)], {});
  }
  equal(other: Operand): Tensor {
    return apply("equal", [this, like(this, other)], {});
  }

  neg(): Tensor {
    return apply("neg", [this], {});
  }
  abs(): Tensor {
    return apply("abs", [this], {});
  }
  exp(): Tensor {
    return apply("exp", [this], {});
  }
  log(): Tensor {
    return apply("log", [this], {});
  }
  sqrt(): Tensor {
    return apply("sqrt", [this], {});
  }
  square(): Tensor {
    return apply("mul", [this, this], {});
  }
  reciprocal(): Tensor {
    return apply("reciprocal", [this], {});
  }
  sigmoid(): Tensor {
    return apply("sigmoid", [this], {});
  }
  /** x sigmoid(x) (Elfwing et al. 2017). */
  silu(): Tensor {
    return apply("silu", [this], {});
  }
  tanh(): Tensor {
    return apply("tanh", [this], {});
  }
  erf(): Tensor {
    return apply("erf", [this], {});
  }
  sin(): Tensor {
    return apply("sin", [this], {});
  }
  cos(): Tensor {
    return apply("cos", [this], {});
  }
  cast(dtype: DType): Tensor {
    return dtype === this.dtype ? this : apply("cast", [this], { dtype });
  }
  /** The same value, through which no gradient flows. */
  stopGradient(): Tensor {
    return apply("stopGradient", [this], {});
  }

  /** Sum over `axes` (negative counts from the end; all by default). */
  sum(axes?: number | readonly number[], keepDims = false): Tensor {
    return this.reduce("sum", axes, keepDims);
  }
  mean(axes?: number | readonly number[], keepDims = false): Tensor {
    const total = this.reduce("sum", axes, keepDims);
    return total.mul(total.size / this.size);
  }
  max(axes?: number | readonly number[], keepDims = false): Tensor {
    return this.reduce("max", axes, keepDims);
  }
  private reduce(op: "sum" | "max", axes: number | readonly number[] | undefined, keepDims: boolean): Tensor {
    const list = axes === undefined ? this.shape.map((_, i) => i) : [axes].flat();
    const positive = list.map((axis) => (axis < 0 ? axis + this.rank : axis)).sort((a, b) => a - b);
    const kept = positive.length === 0 ? this : apply(op, [this], { axes: positive });
    return keepDims ? kept : kept.reshape(...this.shape.filter((_, i) => !positive.includes(i)));
  }

  /** Softmax over the last axis. */
  softmax(): Tensor {
    return apply("softmax", [this], {});
  }
  /** Logarithm of the softmax over the last axis. */
  logSoftmax(): Tensor {
    return apply("logSoftmax", [this], {});
  }
  /** (x - mean) / sqrt(variance + epsilon) over the last axis. */
  normalize(epsilon: number): Tensor {
    return apply("normalize", [this], { epsilon });
  }

  /** The k-th largest element over the last axis, which stays with length 1: k = 1 is the largest. */
  kthLargest(k: number): Tensor {
    return apply("kthLargest", [this], { k });
  }

  /** The same elements in another shape; one length may be -1. */
  reshape(...shape: number[]): Tensor {
    const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
    const full = shape.map((n) => (n === -1 ? this.size / known : n));
    if (full.some((n) => !Number.isInteger(n) || n < 1))
      throw new ShapeError(`reshape: ${show(this.shape)} does not divide into ${show(shape)}`);
    if (show(full) === show(this.shape)) return this;
    const source = this.node.op === "reshape" ? this.node.inputs[0]! : this;
    return show(source.shape) === show(full) ? source : apply("reshape", [source], { shape: full });
  }
  permute(...axes: number[]): Tensor {
    return axes.every((axis, i) => axis === i) && axes.length === this.rank ? this : apply("permute", [this], { axes });
  }
  /** Swaps the last two axes. */
  transpose(): Tensor {
    const axes = this.shape.map((_, i) => i);
    return this.permute(...axes.slice(0, -2), this.rank - 1, this.rank - 2);
  }
  expand(...shape: number[]): Tensor {
    return show(shape) === show(this.shape) ? this : apply("expand", [this], { shape });
  }
  /** The elements from `start` (included) to `end` (excluded) along one axis. */
  slice(axis: number, start: number, end: number): Tensor {
    const at = axis < 0 ? axis + this.rank : axis;
    if (start === 0 && end === this.shape[at]) return this;
    return apply("slice", [this], {
      starts: this.shape.map((_, i) => (i === at ? start : 0)),
      ends: this.shape.map((n, i) => (i === at ? end : n)),
    });
  }
  /** `parts` tensors of equal length along one axis. */
  split(axis: number, parts: number): Tensor[] {
    const at = axis < 0 ? axis + this.rank : axis;
    const length = this.shape[at]! / parts;
    if (!Number.isInteger(length))
      throw new ShapeError(`split: axis ${at} of ${show(this.shape)} does not divide into ${parts} parts`);
    return Array.from({ length: parts }, (_, i) => this.slice(at, i * length, (i + 1) * length));
  }
  /** Zeros before and after, one amount per axis; a negative amount crops. */
  pad(before: readonly number[], after: readonly number[]): Tensor {
    return before.every((n) => n === 0) && after.every((n) => n === 0) ? this : apply("pad", [this], { before, after });
  }
  flip(...axes: number[]): Tensor {
    return apply("flip", [this], { axes });
  }

  /** [..., M, K] x [..., K, N] -> [..., M, N]; leading axes broadcast. */
  matmul(other: Tensor): Tensor {
    return apply("matmul", [this, other], {});
  }
}

const isNumber = (operand: Operand, value: number): boolean => typeof operand === "number" && operand === value;

function like(tensor: Tensor, operand: Operand): Tensor {
  return typeof operand === "number" ? scalar(operand, tensor.dtype) : operand;
}

/** Applies an operator: checks the shapes and makes the tensor. The methods and functions here are its friendlier face. */
export function apply<K extends Op>(op: K, inputs: readonly Tensor[], attributes: Attributes[K]): Tensor {
  return new Tensor({ op, inputs, attributes } as unknown as Node, shapeRules[op](inputs, attributes, op));
}

/** A known value. */
export const constant = (value: NDArray): Tensor => apply("constant", [], { value });

/** A number as a constant of rank 0. */
export const scalar = (value: number, dtype: DType = "float32"): Tensor => {
  if (dtype === "float32") return constant(float32([], [value]));
  if (dtype === "int32") return constant(int32([], [value]));
  throw new ShapeError(`a number cannot become ${dtype}; cast the tensor first`);
};

/** A tensor full of one number. */
export const full = (shape: Shape, value: number): Tensor => scalar(value).expand(...shape);

/** Element by element: `a` where the condition holds, else `b`. */
export const where = (condition: Tensor, a: Operand, b: Operand): Tensor => {
  const type = typeof a === "number" ? (typeof b === "number" ? scalar(b) : b) : a;
  return apply("where", [condition, like(type, a), like(type, b)], {});
};

export const concat = (tensors: readonly Tensor[], axis: number): Tensor =>
  tensors.length === 1
    ? tensors[0]!
    : apply("concat", tensors, { axis: axis < 0 ? axis + (tensors[0]?.rank ?? 0) : axis });

/** labels int32 or int64 [N] -> float32 [N, classes], 1 at the label. A label outside 0..classes-1 gives a row of zeros. */
export const oneHot = (labels: Tensor, classes: number): Tensor =>
  labels
    .reshape(-1, 1)
    .equal(
      constant(
        int32(
          [1, classes],
          Int32Array.from({ length: classes }, (_, i) => i),
        ),
      ).cast(labels.dtype),
    )
    .cast("float32");

/** 1 where the label's logit is above all others, 0 where another is as large or one is NaN: logits [N, K], labels [N] -> float32 [N]. */
export const readRight = (logits: Tensor, labels: Tensor): Tensor => {
  const classes = logits.shape[1]!;
  const isOwn = oneHot(labels, classes).equal(1);
  // Products with `oneHot` would make infinite logits NaN, and the largest of several may pass over a NaN.
  const own = where(isOwn, logits, 0).sum(1, true);
  const less = where(isOwn, Number.NEGATIVE_INFINITY, logits).less(own);
  return less.cast("float32").sum(1).equal(classes).cast("float32");
};

/** x [N, I, H, W], weight [O, I, K, K], bias [O] -> [N, O, H', W']. */
export const conv2d = (x: Tensor, weight: Tensor, bias?: Tensor, { stride = 1, padding = 0 } = {}): Tensor =>
  apply("conv2d", bias ? [x, weight, bias] : [x, weight], { stride, padding });

/** Mean over blocks of factor x factor pixels: [N, C, H, W] -> [N, C, H / factor, W / factor]. */
export const averagePool2d = (x: Tensor, factor: number): Tensor => apply("averagePool2d", [x], { factor });

/** Every pixel repeated factor x factor times: [N, C, H, W] -> [N, C, factor H, factor W]. */
export const upsampleNearest2d = (x: Tensor, factor: number): Tensor => apply("upsampleNearest2d", [x], { factor });
