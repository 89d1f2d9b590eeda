import { ShapeError } from "../errors.ts";
import type { DType, Shape } from "../ndarray.ts";

/** What a shape rule reads and says of a tensor. */
export interface Type<D extends DType = DType> {
  readonly shape: Shape;
  readonly dtype: D;
}

/** `[2, 3]`, as every message prints a shape. */
export const show = (shape: Shape): string => `[${shape.join(", ")}]`;

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
