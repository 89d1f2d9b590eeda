// Distributions of points in the plane of which everything is known in closed form: mixtures of round normal distributions.
// A point is an image of two channels and one pixel, so whatever is made for images serves: [N, 2, 1, 1].
import { type Predictor, type ProcessConfig, scorePredictor } from "guidestar/diffusion";
import { concat, constant, float32, full, int32, normals, oneHot, type Tensor, uniforms } from "guidestar/tensor";

export type Point = readonly [x: number, y: number];

/** A mixture of normal distributions of one deviation, each belonging to a class. */
export interface Mixture {
  readonly centres: readonly Point[];
  readonly weights: readonly number[];
  readonly labels: readonly number[];
  readonly deviation: number;
}

/** Two half-moons, one turned about the origin against the other: the classes 0 and 1. */
export function moons(components = 24): Mixture {
  const angles = Array.from({ length: components }, (_, i) => (Math.PI * (i + 0.5)) / components);
  const centres = [1, -1].flatMap((side) =>
    angles.map((angle): Point => [0.6 * side * (Math.cos(angle) - 0.5), 0.6 * side * (Math.sin(angle) - 0.25)]),
  );
  return {
    centres,
    weights: centres.map(() => 1 / centres.length),
    labels: centres.map((_, i) => (i < components ? 0 : 1)),
    deviation: 0.05,
  };
}

/** The place of noise: x = alpha x_0 + sigma eps. */
export interface Level {
  readonly alpha: number;
  readonly sigma: number;
}
const clean: Level = { alpha: 1, sigma: 0 };

/** Points and their classes, the same for the same (seed, stream). */
export function drawPoints(
  { centres, weights, labels, deviation }: Mixture,
  seed: number,
  stream: number,
  count: number,
) {
  const sums = weights.map((_, i) => weights.slice(0, i + 1).reduce((a, b) => a + b));
  const picked = Array.from(uniforms(seed, 2 * stream, count), (u) =>
    Math.min(
      sums.findIndex((sum) => u < sum * (1 + 1e-9)),
      sums.length - 1,
    ),
  );
  const jitter = normals(seed, 2 * stream + 1, 2 * count);
  return {
    x: float32(
      [count, 2, 1, 1],
      Float32Array.from(jitter, (z, i) => centres[picked[i >> 1]!]![i % 2]! + deviation * z),
    ),
    y: int32(
      [count],
      picked.map((i) => labels[i]!),
    ),
  };
}

/** log p(x_t) at one point, of one class or of all together; float64. */
export function logDensity(mixture: Mixture, [x, y]: Point, { alpha, sigma } = clean, label?: number): number {
  const { centres, weights, labels, deviation } = mixture;
  const variance = (alpha * deviation) ** 2 + sigma ** 2;
  const ofClass = (i: number): boolean => label === undefined || labels[i] === label;
  const total = weights.reduce((sum, weight, i) => (ofClass(i) ? sum + weight : sum), 0);
  const exponents = centres.map(([cx, cy], i) =>
    ofClass(i)
      ? Math.log(weights[i]! / total) - ((x - alpha * cx) ** 2 + (y - alpha * cy) ** 2) / (2 * variance)
      : -Infinity,
  );
  const largest = Math.max(...exponents);
  const sum = exponents.reduce((sum, exponent) => sum + Math.exp(exponent - largest), 0);
  return largest + Math.log(sum) - Math.log(2 * Math.PI * variance);
}

/** alpha and sigma of each point, [N]. */
export type Levels = { readonly alpha: Tensor; readonly sigma: Tensor };

/** The same level for each of N points. */
export const levelsOf = ({ alpha, sigma }: Level, count: number): Levels => ({
  alpha: full([count], alpha),
  sigma: full([count], sigma),
});

const column = (values: Tensor): Tensor => values.reshape(-1, 1);

/** log of weight times density of each component at x [N, 2, 1, 1], but for what all share: [N, K]. */
function evidence({ centres, weights, deviation }: Mixture, x: Tensor, { alpha, sigma }: Levels): Tensor {
  const points = constant(float32([centres.length, 2], centres.flat()));
  const squares = constant(
    float32(
      [1, centres.length],
      centres.map(([x, y]) => (x * x + y * y) / 2),
    ),
  );
  const logWeights = constant(float32([1, centres.length], weights.map(Math.log)));
  const towards = x
    .reshape(-1, 2)
    .matmul(points.transpose())
    .mul(column(alpha))
    .sub(squares.mul(column(alpha.square())));
  return towards.div(column(varianceOf(deviation, { alpha, sigma }))).add(logWeights);
}

const varianceOf = (deviation: number, { alpha, sigma }: Levels): Tensor =>
  alpha.mul(deviation).square().add(sigma.square());

/** Large and negative where a component is of another class than asked for; the label after the last class stands for all. */
function masked(logits: Tensor, labels: readonly number[], label: Tensor<"int32"> | undefined): Tensor {
  if (!label) return logits;
  const classes = Math.max(...labels) + 1;
  const other = Array.from({ length: classes }, (_, asked) => labels.map((own) => (own === asked ? 0 : -1e9))).flat();
  return logits.add(oneHot(label, classes).matmul(constant(float32([classes, labels.length], other))));
}

/** grad log p(x_t), or of the class asked for: what a perfect network would say. [N, 2, 1, 1]. */
export function exactScore(mixture: Mixture, x: Tensor, levels: Levels, label?: Tensor<"int32">): Tensor {
  const { centres, labels, deviation } = mixture;
  const share = masked(evidence(mixture, x, levels), labels, label).softmax();
  const mean = share.matmul(constant(float32([centres.length, 2], centres.flat()))).mul(column(levels.alpha));
  return mean
    .sub(x.reshape(-1, 2))
    .div(column(varianceOf(deviation, levels)))
    .reshape(-1, 2, 1, 1);
}

/** A perfect model of a mixture, of whatever process. It is told the class where `knowsClasses`. */
export const exactPredictor = (mixture: Mixture, process: ProcessConfig, knowsClasses = true): Predictor =>
  scorePredictor((x, sigma, { label }) => {
    const levels = { alpha: full(sigma.shape, 1), sigma };
    return exactScore(mixture, x, levels, knowsClasses ? label : undefined);
  }, process);

/** log p(class, x_t) of each class, but for what they share: the logits of a perfect classifier, [N, classes]. */
export function exactLogits(mixture: Mixture, x: Tensor, levels: Levels): Tensor {
  const logits = evidence(mixture, x, levels);
  const largest = logits.max(1, true);
  const shares = logits.sub(largest).exp();
  const classes = Array.from({ length: Math.max(...mixture.labels) + 1 }, (_, label) => label);
  const sums = classes.map((label) => {
    const own = mixture.labels.map((other) => (other === label ? 1 : 0));
    // A class whose whole density is below the smallest number still has a logarithm.
    return shares
      .matmul(constant(float32([own.length, 1], own)))
      .maximum(1e-30)
      .log();
  });
  return concat(sums, 1);
}

/** log p(class | x_t) of a point, float64. */
export const logPosterior = (mixture: Mixture, point: Point, label: number, level?: Level): number =>
  logDensity(mixture, point, level, label) + Math.log(shareOf(mixture, label)) - logDensity(mixture, point, level);

const shareOf = ({ weights, labels }: Mixture, label: number): number =>
  weights.reduce((sum, weight, i) => (labels[i] === label ? sum + weight : sum), 0);

/** How far a point is from the nearest centre of its class. */
export const distanceTo = ({ centres, labels }: Mixture, [x, y]: Point, label: number): number =>
  Math.min(...centres.map(([cx, cy], i) => (labels[i] === label ? Math.hypot(x - cx, y - cy) : Infinity)));

/** Share of the mixture's centres that are nearest to at least one of the points of their class. */
export function coverage({ centres, labels }: Mixture, points: readonly Point[], classes: readonly number[]): number {
  const found = points.map(([x, y], i) => {
    const distances = centres.map(([cx, cy], j) => (labels[j] === classes[i] ? Math.hypot(x - cx, y - cy) : Infinity));
    return distances.indexOf(Math.min(...distances));
  });
  return new Set(found).size / centres.length;
}
