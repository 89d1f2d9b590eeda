import { DataError } from "../../errors.ts";
import type { Matrix } from "./matrix.ts";
import { timesTransposed } from "./multiply.ts";

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
