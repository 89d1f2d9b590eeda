import { ShapeError } from "../errors.ts";
import type { DType, Shape } from "../ndarray.ts";

/** What a shape rule reads and says of a tensor: `operators` in ops.ts. */
export interface Type<D extends DType = DType> {
  readonly shape: Shape;
  readonly dtype: D;
}

export type Types = readonly Type[];

/** Attributes of an operator without any. */
export type None = Record<never, never>;

/** Attributes of a reduction. */
export interface Axes {
  readonly axes: readonly number[];
}

/** `[2, 3]`, as every message prints a shape. */
export const show = (shape: Shape): string => `[${shape.join(", ")}]`;

/** An axis counted from the front: a negative one counts from the end. */
export const positive = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Throws what is wrong with an operator's inputs. */
export const fail = (op: string, problem: string): never => {
  throw new ShapeError(`${op}: ${problem}`);
};

/** The shape that two shapes broadcast to, numpy's way. */
export function broadcast(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const m = a[i - rank + a.length] ?? 1;
    const n = b[i - rank + b.length] ?? 1;
    if (m !== n && m !== 1 && n !== 1)
      fail(op, `${show(a)} and ${show(b)} do not broadcast (axis ${i}: ${m} against ${n})`);
    return m === 1 ? n : m;
  });
}

/** Throws unless all inputs are float32. */
export function float(op: string, ...inputs: readonly Type[]): void {
  for (const { dtype, shape } of inputs)
    if (dtype !== "float32") fail(op, `takes float32 but got ${dtype} ${show(shape)}; cast it first`);
}

/** The type of two operands. Throws where they have two. */
export function sameType(op: string, a: Type, b: Type): DType {
  if (a.dtype !== b.dtype)
    fail(op, `operands have different types: ${a.dtype} ${show(a.shape)} and ${b.dtype} ${show(b.shape)}`);
  return a.dtype;
}

/** Throws unless each axis is one of the shape, named once. */
export function checkAxes(op: string, shape: Shape, axes: readonly number[]): void {
  for (const axis of axes)
    if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) fail(op, `axis ${axis} is outside ${show(shape)}`);
  if (new Set(axes).size !== axes.length) fail(op, `axes [${axes}] name one axis twice`);
}

/** Throws unless the indices are whole numbers. */
export function whole(op: string, { dtype, shape }: Type): void {
  if (dtype !== "int32" && dtype !== "int64")
    fail(op, `indices must be int32 or int64 but are ${dtype} ${show(shape)}; cast them first`);
}

/** The four lengths of images. */
export function image(op: string, name: string, { shape }: Type): readonly [number, number, number, number] {
  if (shape.length !== 4) fail(op, `${name} must be [N, C, H, W] but is ${show(shape)}`);
  return shape as readonly [number, number, number, number];
}

/** Length of an image's axis after a convolution. */
export const convolved = (
  size: number,
  kernel: number,
  { stride, padding }: { readonly stride: number; readonly padding: number },
): number => Math.floor((size + 2 * padding - kernel) / stride) + 1;

// Shape rules that several operators share.

/** A function of each float32 element. */
export const unary = ([x]: Types, _: None, op: string): Type => {
  float(op, x!);
  return x!;
};

/** Two operands of one type, broadcast to one shape. */
export const pairwise = ([a, b]: Types, _: None, op: string): Type => ({
  dtype: sameType(op, a!, b!),
  shape: broadcast(op, a!.shape, b!.shape),
});

/** Two operands of numbers. */
export const arithmetic = (inputs: Types, attributes: None, op: string): Type => {
  const result = pairwise(inputs, attributes, op);
  if (result.dtype === "bool") fail(op, `takes numbers but got bool ${show(inputs[0]!.shape)}; cast it first`);
  return result;
};

/** The reduced axes stay with length 1. */
export const reduction = ([x]: Types, { axes }: Axes, op: string): Type => {
  float(op, x!);
  checkAxes(op, x!.shape, axes);
  return { dtype: x!.dtype, shape: x!.shape.map((n, i) => (axes.includes(i) ? 1 : n)) };
};

/** Something about each row of the last axis. */
export const lastAxis = ([x]: Types, _: object, op: string): Type => {
  float(op, x!);
  if (x!.shape.length === 0) fail(op, "takes at least one axis but got a scalar");
  return x!;
};
export const lastAxisReduced = (inputs: Types, attributes: object, op: string): Type => {
  const { shape, dtype } = lastAxis(inputs, attributes, op);
  return { dtype, shape: [...shape.slice(0, -1), 1] };
};
