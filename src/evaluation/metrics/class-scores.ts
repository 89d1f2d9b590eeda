import { counted } from "../../counted.ts";
import { DataError } from "../../errors.ts";
import { type BootstrapOptions, bootstrapped, bootstrappedMean, type Estimate, purposes } from "./bootstrap.ts";
import type { Matrix } from "./matrix.ts";

/**
 * Inception score: exp of the mean of KL(p(y | x) || p(y)), p(y) the mean over the images (Salimans et al. 2016). It grows
 * with how sure the classes are and with how many occur, and knows no reference. For scores of splits, give their rows.
 *
 * @param probabilities [N, K], p(y | x) of each image
 * @throws DataError where a row is no distribution
 */
export function inceptionScore(probabilities: Matrix, options?: BootstrapOptions): Estimate {
  checkProbabilities(probabilities);
  const { rows, columns, data } = probabilities;
  const negativeEntropies = Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < columns; k++) sum += pLogP(data[i * columns + k]!);
    return sum;
  });
  const score = (weights: Float64Array): number => {
    const marginal = new Float64Array(columns);
    let [sum, total] = [0, 0];
    for (let i = 0; i < rows; i++) {
      const weight = weights[i]!;
      if (weight === 0) continue;
      total += weight;
      sum += weight * negativeEntropies[i]!;
      for (let k = 0; k < columns; k++) marginal[k]! += weight * data[i * columns + k]!;
    }
    // mean of sum_k p log p, less sum_k q log q of the mean q: the mean of KL(p || q)
    return Math.exp(sum / total - marginal.reduce((all, mass) => all + pLogP(mass / total), 0));
  };
  return bootstrapped(rows, purposes.inception, score, options);
}

const pLogP = (p: number): number => (p > 0 ? p * Math.log(p) : 0);

/**
 * The share of images that a classifier takes for the class that they were made as. Under the classifier that guided them it
 * says how well they please it; under another, whether they are of their class.
 *
 * @param probabilities [N, K]
 * @param labels [N], 0 ... K - 1
 * @throws DataError where the counts differ, or a label is none of the classes
 */
export function classAccuracy(probabilities: Matrix, labels: ArrayLike<number>, options?: BootstrapOptions): Estimate {
  checkProbabilities(probabilities);
  const { rows, columns, data } = probabilities;
  if (labels.length !== rows)
    throw new DataError(
      `expected a label for each image but there are ${counted(labels.length, "label")} of ${counted(rows, "image")}`,
    );
  const right = Float64Array.from({ length: rows }, (_, i) => {
    const label = labels[i]!;
    if (!(label >= 0 && label < columns)) throw new DataError(`label ${label} is none of the ${columns} classes`);
    const row = data.subarray(i * columns, (i + 1) * columns);
    // As `readRight` has it for logits: what is as likely as another class is not read.
    return row.every((p, k) => k === label || p < row[label]!) ? 1 : 0;
  });
  return bootstrappedMean(right, purposes.accuracy, options);
}

/** Throws DataError unless every row is a distribution, up to rounding. */
function checkProbabilities({ rows, columns, data }: Matrix): void {
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let k = 0; k < columns; k++) {
      const p = data[i * columns + k]!;
      if (!(p >= 0)) throw new DataError(`row ${i} of the probabilities holds ${p}; expected numbers from 0 to 1`);
      sum += p;
    }
    if (!(Math.abs(sum - 1) < 1e-3))
      throw new DataError(
        `row ${i} of the probabilities sums to ${sum}; expected 1: give probabilities, the softmax of logits`,
      );
  }
}
