import { DataError } from "../../errors.ts";
import type { NDArray } from "../../ndarray.ts";

/*
 * The dense linear algebra of metrics, in float64 and row-major. Plain loops over blocks that fit the registers: products of this
 * kind run at the same speed as the engine's float64 kernels on one core, and need no engine.
 */

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

/**
 * Factor F [r, n] of a positive semidefinite matrix A [n, n] = F^T F, r its numerical rank: Cholesky's decomposition with the largest
 * remaining diagonal element as pivot, in panels (Lucas 2004, LAPACK's `pstrf`). Stops where what remains is rounding.
 *
 * @throws DataError where the matrix is not positive semidefinite: a diagonal below zero, at first or in what remains
 */
export function choleskyFactor(a: Float64Array, n: number): Matrix & { readonly data: Float64Array } {
  const diagonal = Float64Array.from({ length: n }, (_, i) => a[i * n + i]!);
  const largest = diagonal.reduce((x, y) => Math.max(x, y), 0);
  const smallest = n * Number.EPSILON * largest;
  const checkSigns = (tolerance: number): void => {
    const lowest = diagonal.reduce((x, y) => Math.min(x, y), 0);
    if (lowest < -tolerance * largest)
      throw new DataError(`expected a covariance, but along some direction its variance is ${lowest.toPrecision(3)}`);
  };
  checkSigns(Number.EPSILON);

  const factor: Float64Array[] = [];
  // What remains of A, of the rows that were no pivot yet; their numbers in A.
  let rest: Float64Array = a;
  let active = Uint32Array.from({ length: n }, (_, i) => i);
  for (let done = false; !done && active.length > 0; ) {
    const m = active.length;
    const panel: Float64Array[] = [];
    const chosen = new Set<number>();
    while (panel.length < Math.min(panelWidth, m)) {
      let pivot = -1;
      for (let i = 0; i < m; i++)
        if (!chosen.has(i) && (pivot < 0 || diagonal[active[i]!]! > diagonal[active[pivot]!]!)) pivot = i;
      const value = diagonal[active[pivot]!]!;
      done = !(value > smallest);
      if (done) break;
      const row = rest.slice(pivot * m, (pivot + 1) * m);
      for (const earlier of panel) {
        const scale = earlier[pivot]!;
        for (let i = 0; i < m; i++) row[i]! -= scale * earlier[i]!;
      }
      const root = Math.sqrt(value);
      for (let i = 0; i < m; i++) {
        // Rows that were pivots have nothing left: what is found there is rounding.
        row[i] = chosen.has(i) ? 0 : i === pivot ? root : row[i]! / root;
        diagonal[active[i]!]! -= row[i]! ** 2;
      }
      chosen.add(pivot);
      panel.push(row);
    }
    for (const row of panel) {
      const full = new Float64Array(n);
      for (let i = 0; i < m; i++) full[active[i]!] = row[i]!;
      factor.push(full);
    }
    if (done) break;
    const kept = Uint32Array.from([...active.keys()].filter((i) => !chosen.has(i)));
    rest = remainder(rest, m, kept, panel);
    active = kept.map((i) => active[i]!);
    // Differences of squares drift from the diagonal of the remainder itself.
    for (let i = 0; i < active.length; i++) diagonal[active[i]!] = rest[i * active.length + i]!;
  }
  checkSigns(1e-4); // files may hold float32
  const data = new Float64Array(factor.length * n);
  for (const [k, row] of factor.entries()) data.set(row, k * n);
  return { rows: factor.length, columns: n, data };
}

const panelWidth = 32;

/** Rows and columns `kept` of A [m, m], less those of the panel's P^T P. */
function remainder(
  a: Float64Array,
  m: number,
  kept: Uint32Array,
  panel: readonly Float64Array[],
): Float64Array<ArrayBuffer> {
  const [size, depth] = [kept.length, panel.length];
  const columns = new Float64Array(size * depth);
  for (let i = 0; i < size; i++) for (let k = 0; k < depth; k++) columns[i * depth + k] = panel[k]![kept[i]!]!;
  const matrix = { rows: size, columns: depth, data: columns };
  const result = timesTransposed(matrix, matrix).data as Float64Array<ArrayBuffer>;
  for (let i = 0; i < size; i++) {
    const row = kept[i]! * m;
    for (let j = 0; j < size; j++) result[i * size + j] = a[row + kept[j]!]! - result[i * size + j]!;
  }
  return result;
}

/** Eigenvalues of a symmetric matrix [n, n], in any order. Its lower triangle is read, and overwritten. */
export function eigenvalues(a: Float64Array, n: number): Float64Array {
  const { diagonal, beside } = tridiagonal(a, n);
  return tridiagonalEigenvalues(diagonal, beside);
}

/**
 * Householder's reduction to tridiagonal form (Golub & Van Loan, section 8.3.1). The rank-two update of one step and the product
 * with the vector of the next are one pass over the lower triangle, for memory is what bounds it.
 */
function tridiagonal(a: Float64Array, n: number): { diagonal: Float64Array; beside: Float64Array } {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(Math.max(n - 1, 0));
  // A <- A - v w^T - w v^T, from the last step, not yet done.
  let v = new Float64Array(n);
  let w = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    for (let i = k; i < n; i++) a[i * n + k]! -= v[i]! * w[k]! + w[i]! * v[k]!;
    diagonal[k] = a[k * n + k]!;
    if (k === n - 1) break;
    // The reflection I - tau x x^T that leaves only the first element of column k below the diagonal.
    const x = new Float64Array(n);
    let scale = 0;
    for (let i = k + 1; i < n; i++) scale = Math.max(scale, Math.abs(a[i * n + k]!));
    let norm = 0;
    if (scale > 0) for (let i = k + 1; i < n; i++) norm += (a[i * n + k]! / scale) ** 2;
    norm = scale * Math.sqrt(norm);
    const first = a[(k + 1) * n + k]!;
    const alpha = first > 0 ? -norm : norm;
    beside[k] = alpha;
    // x = (column - alpha e) / (first - alpha), whose first element is 1.
    const pivot = first - alpha;
    const tau = norm > 0 ? -pivot / alpha : 0;
    x[k + 1] = 1;
    if (norm > 0) for (let i = k + 2; i < n; i++) x[i] = a[i * n + k]! / pivot;

    const y = updateAndMultiply(a, n, k + 1, v, w, x);
    // A <- H A H = A - x w^T - w x^T with w = tau y - (tau^2 y^T x / 2) x
    let inner = 0;
    for (let i = k + 1; i < n; i++) inner += y[i]! * x[i]!;
    for (let i = k + 1; i < n; i++) y[i] = tau * y[i]! - 0.5 * tau * tau * inner * x[i]!;
    v = x;
    w = y;
  }
  return { diagonal, beside };
}

/** A <- A - v w^T - w v^T on rows and columns from `start`, in the lower triangle; gives A x. Two rows at a time share what they read. */
function updateAndMultiply(
  a: Float64Array,
  n: number,
  start: number,
  v: Float64Array,
  w: Float64Array,
  x: Float64Array,
): Float64Array<ArrayBuffer> {
  const y = new Float64Array(n);
  const odd = (n - start) % 2;
  for (let i = start - odd; i < n; i += 2) {
    // Of an odd count, the first pair is one row alone: that of `start`, with one element.
    const [upper, lower] = [i * n, (i + 1) * n];
    const alone = i < start;
    const [v0, w0, x0] = alone ? [0, 0, 0] : [v[i]!, w[i]!, x[i]!];
    const [v1, w1, x1] = [v[i + 1]!, w[i + 1]!, x[i + 1]!];
    let sum0 = 0;
    let sum1 = 0;
    for (let j = start; j < i; j++) {
      const vj = v[j]!;
      const wj = w[j]!;
      const xj = x[j]!;
      const value0 = a[upper + j]! - v0 * wj - w0 * vj;
      const value1 = a[lower + j]! - v1 * wj - w1 * vj;
      a[upper + j] = value0;
      a[lower + j] = value1;
      sum0 += value0 * xj;
      sum1 += value1 * xj;
      y[j]! += value0 * x0 + value1 * x1;
    }
    if (!alone) {
      a[upper + i]! -= 2 * v0 * w0;
      a[lower + i]! -= v1 * w0 + w1 * v0;
      y[i]! += sum0 + a[upper + i]! * x0 + a[lower + i]! * x1;
      sum1 += a[lower + i]! * x0;
    }
    a[lower + i + 1]! -= 2 * v1 * w1;
    y[i + 1]! += sum1 + a[lower + i + 1]! * x1;
  }
  return y;
}

/** Eigenvalues of a symmetric tridiagonal matrix: QL with implicit shifts (Golub & Van Loan, section 8.3.3). Overwrites both. */
function tridiagonalEigenvalues(d: Float64Array, beside: Float64Array): Float64Array {
  const n = d.length;
  const e = new Float64Array(n);
  e.set(beside);
  // Below this, an element is rounding of the reduction: a singular matrix leaves whole blocks of it.
  const negligible = 2 ** -56 * d.reduce((most, value, i) => Math.max(most, Math.abs(value) + Math.abs(e[i]!)), 0);
  for (let l = 0; l < n; l++) {
    for (let round = 0; ; round++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]!) > negligible + Number.EPSILON * (Math.abs(d[m]!) + Math.abs(d[m + 1]!))) m++;
      if (m === l) break;
      if (round === 100) throw new DataError("the eigenvalues of a covariance were not found; are its numbers finite?");
      // Wilkinson's shift: the eigenvalue of the leading 2 x 2 block nearer to d[l].
      const half = (d[l + 1]! - d[l]!) / (2 * e[l]!);
      let g = d[m]! - d[l]! + e[l]! / (half + Math.sign(half || 1) * Math.hypot(half, 1));
      let [sine, cosine, p] = [1, 1, 0];
      let i = m - 1;
      for (; i >= l; i--) {
        const f = sine * e[i]!;
        const b = cosine * e[i]!;
        const r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1]! -= p;
          e[m] = 0;
          break;
        }
        sine = f / r;
        cosine = g / r;
        g = d[i + 1]! - p;
        const s = (d[i]! - g) * sine + 2 * cosine * b;
        p = sine * s;
        d[i + 1] = g + p;
        g = cosine * s - b;
      }
      if (i >= l) continue;
      d[l]! -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return d;
}
