import type { NDArray, Shape } from "../ndarray.ts";

/** A tensor of a file, of which only the shape is read yet. */
export interface LazyTensor {
  readonly shape: Shape;
  /** All its elements as float32, row-major. */
  read(): NDArray<"float32">;
  /** The same elements in parts of a few megabytes, each read when it is asked for. */
  parts(): Iterable<Float32Array>;
}
