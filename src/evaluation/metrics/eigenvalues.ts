import { DataError } from "../../errors.ts";

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
