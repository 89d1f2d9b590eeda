import { DataError } from "../../errors.ts";
import type { Matrix } from "./matrix.ts";

/*
 * Dense linear algebra in float64 and row-major. Plain loops over blocks that fit the registers: products of this kind run at the same
 * speed as the engine's float64 kernels on one core, and need no engine.
 */

/** a [M, K], b [N, K] -> a b^T [M, N]. Where `b` is `a` itself, only half of it is computed. */
export function timesTransposed(a: Matrix, b: Matrix): Matrix & { readonly data: Float64Array } {
  if (a.columns !== b.columns)
    throw new DataError(`rows of ${a.columns} numbers cannot be multiplied by rows of ${b.columns}`);
  const [m, n, length] = [a.rows, b.rows, a.columns];
  const result = new Float64Array(m * n);
  const symmetric = a === b;
  const left = new Float64Array(4 * tile);
  const right = new Float64Array(strip * tile);
  for (let from = 0; from < length; from += tile) {
    const depth = Math.min(tile, length - from);
    for (let j = 0; j < n; j += strip) {
      const columns = Math.min(strip, n - j);
      pack(b, j, columns, from, depth, right);
      // The lower triangle, in whole strips, is all that a symmetric product needs.
      for (let i = symmetric ? j : 0; i < m; i += 4) {
        const rows = Math.min(4, m - i);
        pack(a, i, rows, from, depth, left);
        for (let column = 0; column < columns; column += 2)
          addBlock(left, right, depth, column, result, n, i, j, rows, Math.min(2, columns - column));
      }
    }
  }
  if (symmetric) for (let i = 0; i < m; i++) for (let j = 0; j < i; j++) result[j * n + i] = result[i * n + j]!;
  return { rows: m, columns: n, data: result };
}

/** Numbers of a row, and rows of b, that are multiplied at a time: the packed strip stays in the second-level cache. */
const tile = 256;
const strip = 64;

/** Copies a piece of some rows to where they lie together: rows apart by a power of two would push each other out of the cache. */
function pack(
  { columns, data }: Matrix,
  row: number,
  rows: number,
  from: number,
  depth: number,
  to: Float64Array,
): void {
  for (let i = 0; i < rows; i++) {
    const at = (row + i) * columns + from;
    for (let k = 0; k < depth; k++) to[i * tile + k] = data[at + k]!;
  }
}

/** Adds up to four packed rows of a times two of b, from `column` of the strip at j, to the result [., n]. */
function addBlock(
  a: Float64Array,
  b: Float64Array,
  depth: number,
  column: number,
  result: Float64Array,
  n: number,
  i: number,
  j: number,
  rows: number,
  columns: number,
): void {
  let s00 = 0;
  let s01 = 0;
  let s10 = 0;
  let s11 = 0;
  let s20 = 0;
  let s21 = 0;
  let s30 = 0;
  let s31 = 0;
  const q = column * tile;
  for (let k = 0; k < depth; k++) {
    const x0 = a[k]!;
    const x1 = a[k + tile]!;
    const x2 = a[k + 2 * tile]!;
    const x3 = a[k + 3 * tile]!;
    const y0 = b[q + k]!;
    const y1 = b[q + k + tile]!;
    s00 += x0 * y0;
    s01 += x0 * y1;
    s10 += x1 * y0;
    s11 += x1 * y1;
    s20 += x2 * y0;
    s21 += x2 * y1;
    s30 += x3 * y0;
    s31 += x3 * y1;
  }
  const at = i * n + j + column;
  const two = columns === 2;
  result[at]! += s00;
  if (two) result[at + 1]! += s01;
  if (rows > 1) result[at + n]! += s10;
  if (rows > 1 && two) result[at + n + 1]! += s11;
  if (rows > 2) result[at + 2 * n]! += s20;
  if (rows > 2 && two) result[at + 2 * n + 1]! += s21;
  if (rows > 3) result[at + 3 * n]! += s30;
  if (rows > 3 && two) result[at + 3 * n + 1]! += s31;
}
