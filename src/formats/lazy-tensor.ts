import type { NDArray, Shape } from "../ndarray.ts";

/** A tensor of a file, of which only the shape is read yet. */
export interface LazyTensor {
  /** Sizes of its axes. */
  readonly shape: Shape;
  /** All its elements as float32, row-major. */
  read(): NDArray<"float32">;
  /** The same elements in parts of a few megabytes, each read when it is asked for, and good until the next one is. */
  parts(): Iterable<Float32Array>;
}

/** The first of the elements that is not a finite number, and its place; undefined where all are finite. */
export function firstNotFinite(parts: Iterable<Float32Array>): { at: number; value: number } | undefined {
  let start = 0;
  for (const values of parts) {
    // Products with zero are zero for finite numbers alone. A call or an iterator for each of some hundred million takes seconds.
    let zero = 0;
    for (let i = 0; i < values.length; i++) zero += values[i]! * 0;
    if (zero !== 0) {
      const at = values.findIndex((value) => !Number.isFinite(value));
      return { at: start + at, value: values[at]! };
    }
    start += values.length;
  }
  return undefined;
}
