import type { Matrix } from "./matrix.ts";
import { blockedProducts, type ProductOptions, squaredNorms } from "./products.ts";

/** The nearest rows of a set for each row of another one, k for each, nearest first. */
export interface Nearest {
  /** How many for each row. */
  readonly k: number;
  /** Squared distances, [rows, k]; infinite where the set has fewer rows. */
  readonly squared: Float64Array;
  /** Which rows they are, [rows, k]; -1 where the set has fewer. */
  readonly index: Int32Array;
}

/**
 * The k nearest rows of `among` for each of `points`; without `among`, the k nearest others of `points`. Distances are float32 products of
 * the engine, and again float64 differences wherever a row might be one of the k, so the result is that of float64.
 */
export async function nearestRows(
  points: Matrix,
  among: Matrix | undefined,
  k: number,
  options: ProductOptions,
): Promise<Nearest> {
  const others = among ?? points;
  const [p, q] = [squaredNorms(points, options.centre), squaredNorms(others, options.centre)];
  const rounding = roundingOf(points.columns);
  const squared = new Float64Array(points.rows * k).fill(Number.POSITIVE_INFINITY);
  const index = new Int32Array(points.rows * k).fill(-1);
  const insert = (i: number, j: number, distance: number): void => {
    let at = i * k + k - 1;
    if (distance >= squared[at]!) return;
    for (; at > i * k && squared[at - 1]! > distance; at--) {
      squared[at] = squared[at - 1]!;
      index[at] = index[at - 1]!;
    }
    squared[at] = distance;
    index[at] = j;
  };
  const furthest = (i: number): number => squared[i * k + k - 1]!;
  for await (const { a, b, products, unit, stride } of blockedProducts(points, among, options))
    for (let row = 0; row < a.count; row++) {
      const i = a.first + row;
      for (let column = !among && a.first === b.first ? row + 1 : 0; column < b.count; column++) {
        const j = b.first + column;
        const both = p[i]! + q[j]!;
        const least = both - 2 * unit * products[row * stride + column]! - rounding * both;
        if (least >= furthest(i) && (among || least >= furthest(j))) continue;
        const distance = squaredDistance(points, i, others, j);
        insert(i, j, distance);
        if (!among) insert(j, i, distance);
      }
    }
  return { k, squared, index };
}

/** Bound on the rounding of a float32 product of rows, in units of the two squared norms; a walk of D steps, with much to spare. */
export const roundingOf = (columns: number): number => 2 ** -20 * Math.sqrt(columns);

/** |a_i - b_j|^2, in float64. */
export function squaredDistance(a: Matrix, i: number, b: Matrix, j: number): number {
  const { columns } = a;
  const [p, q] = [i * columns, j * columns];
  let sum = 0;
  for (let c = 0; c < columns; c++) {
    const difference = a.data[p + c]! - b.data[q + c]!;
    sum += difference * difference;
  }
  return sum;
}
