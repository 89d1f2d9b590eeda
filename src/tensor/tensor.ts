import { ShapeError } from "../errors.ts";
import { type DType, filled, type NDArray, type Numeric, type Shape, sizeOf } from "../ndarray.ts";
import { type Attributes, type Op, type ResultType, resultOf } from "./ops.ts";
import { positive, show, type Type } from "./shape.ts";

/** One application of an operator: a discriminated union over all of them. */
export type Node<K extends Op = Op> = {
  [P in K]: { readonly op: P; readonly inputs: readonly AnyTensor[]; readonly attributes: Attributes[P] };
}[K];

/** A tensor of any element type, as graphs hold them. */
export type AnyTensor = Tensor<DType>;

/** Whole numbers that count classes, or rows of a table. */
export type Labels = Tensor<"int32" | "int64">;

/** What arithmetic accepts beside a tensor: a number becomes a constant of the other operand's type. */
export type Operand<D extends DType = "float32"> = Tensor<D> | number;

/**
 * A symbolic value: the application of one operator. Immutable; holds no numbers and owns nothing. Methods are arithmetic,
 * reductions and movement with numpy's meaning and broadcasting; each throws ShapeError at once where shapes do not fit.
 *
 * `Tensor` alone is one of float32, the type that networks compute with and gradients flow through; labels are `Tensor<"int32">`,
 * conditions `Tensor<"bool">`. A tensor goes wherever one of a wider type is asked for: any tensor is an `AnyTensor`.
 */
export class Tensor<out D extends DType = "float32"> implements Type<D> {
  readonly node: Node;
  readonly shape: Shape;
  readonly dtype: D;

  constructor(node: Node, type: Type<D>) {
    this.node = node;
    this.shape = type.shape;
    this.dtype = type.dtype;
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** The sum with a tensor or a number, element by element; shapes broadcast as in NumPy, types are equal. */
  add(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<D> {
    return isNumber(other, 0) ? this : apply("add", [this, like(this, other)], {});
  }
  /** The difference; shapes broadcast. */
  sub(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<D> {
    return isNumber(other, 0) ? this : apply("sub", [this, like(this, other)], {});
  }
  /** The product; shapes broadcast. */
  mul(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<D> {
    return isNumber(other, 1) ? this : apply("mul", [this, like(this, other)], {});
  }
  /** Of integers the quotient is rounded toward zero. */
  div(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<D> {
    return isNumber(other, 1) ? this : apply("div", [this, like(this, other)], {});
  }
  /** The larger of two, element by element; shapes broadcast. */
  maximum(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<D> {
    return apply("maximum", [this, like(this, other)], {});
  }
  /** The smaller of two, element by element; shapes broadcast. */
  minimum(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<D> {
    return apply("minimum", [this, like(this, other)], {});
  }
  /**
   * The power of every element. A negative base has powers of whole exponents alone, others are NaN; by the exponent, powers of a
   * base from 0 on have a gradient, which is 0 at base 0.
   */
  pow(this: Tensor, exponent: Operand): Tensor {
    if (exponent === 1) return this;
    return exponent === 2 ? this.square() : apply("pow", [this, like(this, exponent)], {});
  }
  /** Limits every element to [low, high]; the gradient passes inside only. */
  clip(this: Tensor<D & Numeric>, low: number, high: number): Tensor<D> {
    return this.maximum(low).minimum(high);
  }
  /** Element by element: is it less? No gradient flows through a comparison. */
  less(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<"bool"> {
    return apply("less", [this, like(this, other)], {});
  }
  /** Element by element: is it greater? */
  greater(this: Tensor<D & Numeric>, other: Operand<D>): Tensor<"bool"> {
    return apply("less", [like(this, other), this], {});
  }
  /** Element by element: is it the same? */
  equal(other: Operand<D>): Tensor<"bool"> {
    return apply("equal", [this, like(this, other)], {});
  }

  /** Minus each element. */
  neg(this: Tensor): Tensor {
    return apply("neg", [this], {});
  }
  /** The absolute value of each element; its gradient at 0 is that of x. */
  abs(this: Tensor): Tensor {
    return apply("abs", [this], {});
  }
  /** e to the power of each element. */
  exp(this: Tensor): Tensor {
    return apply("exp", [this], {});
  }
  /** The natural logarithm of each element. */
  log(this: Tensor): Tensor {
    return apply("log", [this], {});
  }
  /** The square root of each element. */
  sqrt(this: Tensor): Tensor {
    return apply("sqrt", [this], {});
  }
  /** The square of each element. */
  square(this: Tensor<D & Numeric>): Tensor<D> {
    return apply("mul", [this, this], {});
  }
  /** One over each element. */
  reciprocal(this: Tensor): Tensor {
    return apply("reciprocal", [this], {});
  }
  /** 1 / (1 + exp(-x)) of each element. */
  sigmoid(this: Tensor): Tensor {
    return apply("sigmoid", [this], {});
  }
  /** x sigmoid(x) (Elfwing et al. 2017). */
  silu(this: Tensor): Tensor {
    return apply("silu", [this], {});
  }
  /**
   * x Phi(x), Phi being the normal distribution's cumulative function (Hendrycks & Gimpel 2016): exact by erf, or the paper's
   * approximation by tanh, within 5e-4.
   */
  gelu(this: Tensor, approximation: "none" | "tanh" = "none"): Tensor {
    const phi =
      approximation === "none"
        ? this.div(Math.SQRT2).erf()
        : this.pow(3)
            .mul(0.044715)
            .add(this)
            .mul(Math.sqrt(2 / Math.PI))
            .tanh();
    return this.mul(phi.add(1)).mul(0.5);
  }
  /** The hyperbolic tangent of each element. */
  tanh(this: Tensor): Tensor {
    return apply("tanh", [this], {});
  }
  /** The error function of each element. */
  erf(this: Tensor): Tensor {
    return apply("erf", [this], {});
  }
  /** The sine of each element, in radians. */
  sin(this: Tensor): Tensor {
    return apply("sin", [this], {});
  }
  /** The cosine of each element, in radians. */
  cos(this: Tensor): Tensor {
    return apply("cos", [this], {});
  }
  /** The same numbers in another type: fractions are cut off, bool is 0 or 1. No gradient flows through. */
  cast<T extends DType>(dtype: T): Tensor<T> {
    const cast: AnyTensor = this.dtype === (dtype as DType) ? this : apply("cast", [this], { dtype });
    return cast as Tensor<T>;
  }
  /** The same value, through which no gradient flows. */
  stopGradient(): Tensor<D> {
    return apply("stopGradient", [this], {});
  }

  /** Sum over `axes` (negative counts from the end; all by default). */
  sum(this: Tensor, axes?: number | readonly number[], keepDims = false): Tensor {
    return reduce(this, "sum", axes, keepDims);
  }
  /** Mean over `axes` (negative counts from the end; all by default). */
  mean(this: Tensor, axes?: number | readonly number[], keepDims = false): Tensor {
    const total = reduce(this, "sum", axes, keepDims);
    return total.mul(total.size / this.size);
  }
  /** Mean squared distance from the mean over `axes`: the biased variance, which divides by the count. */
  variance(this: Tensor, axes?: number | readonly number[], keepDims = false): Tensor {
    return this.sub(this.mean(axes, true)).square().mean(axes, keepDims);
  }
  /** Largest element over `axes` (negative counts from the end; all by default). Equal ones share the gradient. */
  max(this: Tensor, axes?: number | readonly number[], keepDims = false): Tensor {
    return reduce(this, "max", axes, keepDims);
  }
  /** Where the largest element along an axis is, the first of equal ones. No gradient flows through a place. */
  argmax(this: Tensor, axis = -1, keepDims = false): Tensor<"int32"> {
    const at = positive(axis, this.rank);
    const place = apply("argmax", [this], { axis: at });
    return keepDims ? place : place.reshape(...this.shape.toSpliced(at, 1));
  }

  /** Softmax over the last axis. */
  softmax(this: Tensor): Tensor {
    return apply("softmax", [this], {});
  }
  /** Logarithm of the softmax over the last axis. */
  logSoftmax(this: Tensor): Tensor {
    return apply("logSoftmax", [this], {});
  }
  /** (x - mean) / sqrt(variance + epsilon) over the last axis. */
  normalize(this: Tensor, epsilon: number): Tensor {
    return apply("normalize", [this], { epsilon });
  }

  /** The k-th largest element over the last axis, which stays with length 1: k = 1 is the largest. */
  kthLargest(this: Tensor, k: number): Tensor {
    return apply("kthLargest", [this], { k });
  }

  /** The same elements in another shape; one length may be -1. */
  reshape(...shape: number[]): Tensor<D> {
    const known = shape.reduce((product, n) => (n === -1 ? product : product * n), 1);
    const full = shape.map((n) => (n === -1 ? this.size / known : n));
    if (full.some((n) => !Number.isInteger(n) || n < 1))
      throw new ShapeError(`reshape: ${show(this.shape)} does not divide into ${show(shape)}`);
    if (show(full) === show(this.shape)) return this;
    const source = this.node.op === "reshape" ? (this.node.inputs[0] as Tensor<D>) : this;
    return show(source.shape) === show(full) ? source : apply("reshape", [source], { shape: full });
  }
  /** The axes in another order: axis i is the one that was `axes[i]`. */
  permute(...axes: number[]): Tensor<D> {
    return axes.every((axis, i) => axis === i) && axes.length === this.rank ? this : apply("permute", [this], { axes });
  }
  /** Swaps the last two axes. */
  transpose(): Tensor<D> {
    const axes = this.shape.map((_, i) => i);
    return this.permute(...axes.slice(0, -2), this.rank - 1, this.rank - 2);
  }
  /** Repeated along axes of length 1, and along new ones in front, to another shape. */
  expand(...shape: number[]): Tensor<D> {
    return show(shape) === show(this.shape) ? this : apply("expand", [this], { shape });
  }
  /** The elements from `start` (included) to `end` (excluded) along one axis. */
  slice(axis: number, start: number, end: number): Tensor<D> {
    const at = positive(axis, this.rank);
    if (start === 0 && end === this.shape[at]) return this;
    return apply("slice", [this], {
      starts: this.shape.map((_, i) => (i === at ? start : 0)),
      ends: this.shape.map((n, i) => (i === at ? end : n)),
    });
  }
  /** `parts` tensors of equal length along one axis. */
  split(axis: number, parts: number): Tensor<D>[] {
    const at = positive(axis, this.rank);
    const length = this.shape[at]! / parts;
    if (!Number.isInteger(length))
      throw new ShapeError(`split: axis ${at} of ${show(this.shape)} does not divide into ${parts} parts`);
    return Array.from({ length: parts }, (_, i) => this.slice(at, i * length, (i + 1) * length));
  }
  /** Zeros before and after, one amount per axis; a negative amount crops. */
  pad(this: Tensor, before: readonly number[], after: readonly number[]): Tensor {
    return before.every((n) => n === 0) && after.every((n) => n === 0) ? this : apply("pad", [this], { before, after });
  }
  /** Backwards along each of the axes. */
  flip(...axes: number[]): Tensor<D> {
    return apply("flip", [this], { axes });
  }

  /**
   * Slices of one axis by their numbers: x [A, n, B], indices [...] -> [A, ..., B] for axis 1. numpy's `take`; a table of
   * embeddings [rows, width] is looked up along axis 0. The gradient adds up what slices named more than once get. Negative indices
   * count from the end; one outside is a RuntimeFailure when the program runs.
   */
  gather(axis: number, indices: Labels): Tensor<D> {
    return apply<"gather", DType>("gather", [this, indices], { axis: positive(axis, this.rank) }) as Tensor<D>;
  }

  /** Products of matrices: [..., M, K] x [..., K, N] -> [..., M, N]; leading axes, batches, broadcast. */
  matmul(this: Tensor<D & `float${number}`>, other: Tensor<D>): Tensor<D> {
    return apply("matmul", [this, other], {});
  }
}

/** Reductions keep the axes with length 1; without `keepDims` these are dropped then. */
function reduce(x: Tensor, op: "sum" | "max", axes: number | readonly number[] | undefined, keepDims: boolean): Tensor {
  const list = axes === undefined ? x.shape.map((_, i) => i) : [axes].flat();
  const sorted = list.map((axis) => positive(axis, x.rank)).sort((a, b) => a - b);
  const kept = sorted.length === 0 ? x : apply(op, [x], { axes: sorted });
  return keepDims ? kept : kept.reshape(...x.shape.filter((_, i) => !sorted.includes(i)));
}

const isNumber = (operand: Operand<DType>, value: number): boolean => typeof operand === "number" && operand === value;

/** An operand as a tensor: a number becomes a constant of the type of `tensor`. */
export const like = <D extends DType>({ dtype }: Type<D>, operand: Operand<D>): Tensor<D> =>
  typeof operand === "number" ? number(operand, dtype) : operand;

/** Applies an operator: checks the shapes and makes the tensor. The methods and functions here are its friendlier face. */
export function apply<K extends Op, D extends DType>(
  op: K,
  inputs: readonly Tensor<D>[],
  attributes: Attributes[K],
): Tensor<ResultType<K, D>> {
  const type = resultOf(op, inputs, attributes) as Type<ResultType<K, D>>;
  return new Tensor({ op, inputs, attributes } as unknown as Node, type);
}

/** A known value. */
export const constant = <D extends DType>(value: NDArray<D>): Tensor<D> =>
  apply<"constant", D>("constant", [], { value });

function number<D extends DType>(value: number, dtype: D): Tensor<D> {
  if (dtype === "bool") throw new ShapeError("a number cannot become bool; cast the tensor first");
  if (dtype.startsWith("int") && !Number.isInteger(value))
    throw new ShapeError(`${value} cannot become ${dtype}; cast the tensor first`);
  return constant(filled(dtype, [], value));
}

/** A number as a constant of rank 0, float32 unless another type is asked for. Throws ShapeError where it has no such value. */
export function scalar(value: number): Tensor;
export function scalar<D extends Numeric>(value: number, dtype: D): Tensor<D>;
export function scalar(value: number, dtype: Numeric = "float32"): Tensor<Numeric> {
  return number(value, dtype);
}

/** A float32 tensor full of one number. */
export const full = (shape: Shape, value: number): Tensor => scalar(value).expand(...shape);
