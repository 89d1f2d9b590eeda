import { DataError } from "../../errors.ts";
import { choleskyFactor } from "./cholesky.ts";
import { eigenvalues } from "./eigenvalues.ts";
import type { Matrix } from "./matrix.ts";
import { timesTransposed } from "./multiply.ts";
import type { Moments } from "./statistics.ts";

const factors = new WeakMap<Moments, Matrix>();

/** F [rank, D] with covariance F^T F; kept for as long as the moments are, since one reference meets many samples. */
export function factorOf(moments: Moments): Matrix {
  const factor = factors.get(moments) ?? choleskyFactor(moments.covariance, moments.mean.length);
  factors.set(moments, factor);
  return factor;
}

/** tr (A^T A)^(1/2), the sum of the singular values of a matrix: from the eigenvalues of the smaller of its two Gram matrices. */
function traceOfRoot(a: Matrix): number {
  const gram = timesTransposed(a, a);
  return eigenvalues(gram.data, gram.rows).reduce((sum, value) => sum + Math.sqrt(Math.max(value, 0)), 0);
}

/**
 * Frechet distance between the normal distributions of two sets of features, FID where the features are Inception's (Heusel et al.
 * 2017, Eq. 6):
 *
 *   |mu_1 - mu_2|^2 + tr(Sigma_1 + Sigma_2 - 2 (Sigma_1 Sigma_2)^(1/2))
 *
 * With Sigma = F^T F of each, the eigenvalues of Sigma_1 Sigma_2 are those of M M^T, M = F_1 F_2^T, the side of which is the smaller
 * rank. So it holds too where there are fewer images than dimensions, and a singular covariance needs no correction.
 *
 * @throws DataError where the features are of different widths or a covariance has a negative variance
 */
export function frechetDistance(a: Moments, b: Moments): number {
  const width = a.mean.length;
  if (b.mean.length !== width)
    throw new DataError(
      `features of ${width} and of ${b.mean.length} dimensions have no Frechet distance; take both from one detector`,
    );
  const [few, many] = [factorOf(a), factorOf(b)].sort((x, y) => x.rows - y.rows) as [Matrix, Matrix];
  let sum = 0;
  for (let i = 0; i < width; i++)
    sum += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * width + i]! + b.covariance[i * width + i]!;
  return Math.max(sum - 2 * traceOfRoot(timesTransposed(few, many)), 0);
}
