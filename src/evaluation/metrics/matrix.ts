import type { NDArray } from "../../ndarray.ts";

/** Rows of numbers, one row per image: [rows, columns], row-major. */
export interface Matrix {
  /** Rows: images. */
  readonly rows: number;
  /** Columns: dimensions of the features. */
  readonly columns: number;
  /** [rows, columns], row-major. */
  readonly data: Float32Array | Float64Array;
}

/** An array [N, ...] as N rows; shares its memory. */
export const matrixOf = ({ shape: [rows = 0], data }: NDArray<"float32" | "float64">): Matrix => ({
  rows,
  columns: rows > 0 ? data.length / rows : 0,
  data,
});
