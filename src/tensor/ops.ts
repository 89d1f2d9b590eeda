import type { DType, NDArray, Shape } from "../ndarray.ts";

/** Attributes of an operator without any. */
export type None = Record<never, never>;

/** Geometry of a two-dimensional convolution; the same in both directions. */
export interface Conv2dGeometry {
  readonly stride: number;
  readonly padding: number;
}

/**
 * The closed list of operators and their attributes. Every operator has one output. `shape.ts`, `gradient.ts` and
 * `onnx/emit.ts` each hold one rule per entry, in tables typed by this interface: an operator without a rule does not compile.
 */
export interface Attributes {
  /** Leaf: a value given at run time. */
  input: { readonly name: string; readonly shape: Shape; readonly dtype: DType };
  /** Leaf: a value known while tracing. */
  constant: { readonly value: NDArray };

  // Element-wise
  neg: None;
  abs: None;
  exp: None;
  log: None;
  sqrt: None;
  reciprocal: None;
  sigmoid: None;
  /** x sigmoid(x). */
  silu: None;
  tanh: None;
  erf: None;
  sin: None;
  cos: None;
  cast: { readonly dtype: DType };
  /** Identity whose gradient is zero. */
  stopGradient: None;

  // Element-wise with broadcasting
  add: None;
  sub: None;
  mul: None;
  div: None;
  maximum: None;
  minimum: None;
  less: None;
  equal: None;
  where: None;

  // Reductions; reduced axes stay with length 1
  sum: { readonly axes: readonly number[] };
  max: { readonly axes: readonly number[] };

  // Over the last axis
  softmax: None;
  logSoftmax: None;
  /** (x - mean) / sqrt(variance + epsilon), biased variance. */
  normalize: { readonly epsilon: number };
  /** 1 / sqrt(variance + epsilon); the last axis stays with length 1. */
  inverseDeviation: { readonly epsilon: number };
  /** The k-th largest element, k from 1, of equal ones each counted; the last axis stays with length 1. */
  kthLargest: { readonly k: number };
  /**
   * Group normalization with scale and shift: x [N, C, ...], scale and shift [N or 1, C] -> scale * normalized(x) + shift, each
   * image's groups of neighbouring channels normalized together.
   */
  groupNorm: { readonly groups: number; readonly epsilon: number };

  // Movement
  reshape: { readonly shape: Shape };
  permute: { readonly axes: readonly number[] };
  expand: { readonly shape: Shape };
  slice: { readonly starts: readonly number[]; readonly ends: readonly number[] };
  /** Zeros around; a negative amount crops. */
  pad: { readonly before: readonly number[]; readonly after: readonly number[] };
  flip: { readonly axes: readonly number[] };
  concat: { readonly axis: number };

  // Linear algebra
  matmul: None;
  /** x [N, I, H, W], weight [O, I, K, K], optional bias [O]. */
  conv2d: Conv2dGeometry;
  /** Adjoint of conv2d in x: cotangent [N, O, H', W'], weight [O, I, K, K] -> [N, I, H, W]. */
  conv2dInputGradient: Conv2dGeometry & { readonly size: readonly [number, number] };
  /** Adjoint of conv2d in weight: x [N, I, H, W], cotangent [N, O, H', W'] -> [O, I, K, K]. */
  conv2dWeightGradient: Conv2dGeometry & { readonly kernel: readonly [number, number] };

  // Resampling of [N, C, H, W] by an integer factor
  averagePool2d: { readonly factor: number };
  upsampleNearest2d: { readonly factor: number };
}

export type Op = keyof Attributes;

/** Element types of the results that do not have that of the inputs. */
interface OwnType {
  less: "bool";
  equal: "bool";
}

/** Element type of an operator's result, of inputs of type D. */
export type ResultType<K extends Op, D extends DType> = K extends keyof OwnType ? OwnType[K] : D;
