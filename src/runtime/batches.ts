import { UsageError } from "../errors.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";

/** The rows of one run of a program that takes a fixed number of them; a row is whatever the first axis counts, such as an image. */
export interface Batch {
  /** Places of the rows among all. Where rows are missing in the last batch, the last one stands in for them. */
  readonly indices: readonly number[];
  /** How many of them count; those that follow are copies. */
  readonly count: number;
}

/** Throws UsageError unless a batch size is a whole number from 1. */
export function checkBatchSize(batchSize: number): void {
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new UsageError(`batchSize must be a whole number from 1 but is ${batchSize}`);
}

/**
 * The least batch size with which `count` rows take no more batches than with `most`: little is computed for nothing.
 *
 * @throws UsageError unless `most` is a whole number from 1
 */
export function evenSize(count: number, most: number): number {
  checkBatchSize(most);
  return Math.ceil(count / Math.ceil(count / most));
}

/** Rows 0 ... count - 1 in batches of `size`. */
export const batchesOf = (count: number, size: number): Batch[] =>
  Array.from({ length: Math.ceil(count / size) }, (_, n) => ({
    indices: Array.from({ length: size }, (_, i) => Math.min(n * size + i, count - 1)),
    count: Math.min(size, count - n * size),
  }));

/** Some rows of an array [N, ...], copied. */
export function rowsOf(
  { shape: [, ...rest], data }: NDArray<"float32">,
  indices: readonly number[],
): NDArray<"float32"> {
  return makeRows(indices, rest, (index, size) => data.subarray(index * size, (index + 1) * size));
}

/** An array [N, ...shape] of a row for each index. */
export function makeRows(
  indices: readonly number[],
  shape: Shape,
  row: (index: number, size: number) => Float32Array,
): NDArray<"float32"> {
  const size = sizeOf(shape);
  const rows = float32([indices.length, ...shape]);
  for (const [i, index] of indices.entries()) rows.data.set(row(index, size), i * size);
  return rows;
}

/** The first `count` rows of arrays one below the other; of a single whole one, the array itself. */
export function joinRows(parts: readonly NDArray<"float32">[], count: number): NDArray<"float32"> {
  const [first] = parts;
  if (parts.length === 1 && first!.shape[0] === count) return first!;
  const rows = float32([count, ...first!.shape.slice(1)]);
  let at = 0;
  for (const { data } of parts) {
    rows.data.set(data.subarray(0, rows.data.length - at), at);
    at += data.length;
  }
  return rows;
}

/**
 * Runs a program that takes `size` rows at a time over any number of rows.
 *
 * @param rows [N, ...]
 * @param run from rows [size, ...] to arrays [size, ...]
 * @returns the same arrays for all rows, [N, ...]
 */
export async function runInBatches<K extends string>(
  rows: NDArray<"float32">,
  size: number,
  run: (rows: NDArray<"float32">) => Promise<{ readonly [name in K]: NDArray<"float32"> }>,
): Promise<{ readonly [name in K]: NDArray<"float32"> }> {
  const count = rows.shape[0]!;
  const results: { readonly [name in K]: NDArray<"float32"> }[] = [];
  for (const { indices } of batchesOf(count, size)) results.push(await run(rowsOf(rows, indices)));
  // Without rows it runs all the same, for the shapes.
  if (results.length === 0) results.push(await run(float32([size, ...rows.shape.slice(1)])));
  const joined = (name: K): NDArray<"float32"> =>
    joinRows(
      results.map((result) => result[name]),
      count,
    );
  return Object.fromEntries((Object.keys(results[0]!) as K[]).map((name) => [name, joined(name)])) as {
    [name in K]: NDArray<"float32">;
  };
}
