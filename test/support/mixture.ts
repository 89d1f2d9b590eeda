import type { Coefficients } from "../../src/diffusion/noise-schedule.ts";
import type { Classifier, Denoiser } from "../../src/guidance/predictor.ts";
import { concat } from "../../src/tensor/functions.ts";
import { scalar, type Tensor } from "../../src/tensor/tensor.ts";

/** Images of one number, x_0 ~ N(centre, deviation^2) with centre -1 for class 0 and 1 for class 1, the classes equally likely. */
export const deviation = 0.2;
/** The label that stands for no class. */
export const nullLabel = 2;

/** Centre of each image's class; 0 for the null label. */
const centres = (labels: Tensor<"int32">): Tensor => {
  const sign = labels.cast("float32").mul(2).sub(1);
  return sign.mul(labels.less(nullLabel).cast("float32")).reshape(-1, 1, 1, 1);
};

/** Variance of x_t given the class: alpha^2 deviation^2 + sigma^2. */
const variance = ({ alpha, sigma }: Coefficients): Tensor =>
  alpha.mul(deviation).square().add(sigma.square()).reshape(-1, 1, 1, 1);

/** x_t alpha / variance: half the difference of the classes' log densities. */
const evidence = (x: Tensor, c: Coefficients): Tensor => x.mul(c.alpha.reshape(-1, 1, 1, 1)).div(variance(c));

/**
 * The exact denoiser, E[eps | x_t, class]; without a class it is the mixture's, whose centre given x_t is tanh(evidence). Its
 * coefficients are those of the batch that it is asked for, which may be doubled.
 */
export const exactDenoiser =
  (c: Coefficients): Denoiser =>
  (x, _timestep, { label }) => {
    const all = x.shape[0] === c.alpha.shape[0] ? c : doubled(c);
    const mixed = evidence(x, all).tanh();
    const isNull = label!.equal(nullLabel).cast("float32").reshape(-1, 1, 1, 1);
    const centre = centres(label!).add(mixed.mul(isNull));
    const [alpha, sigma] = [all.alpha.reshape(-1, 1, 1, 1), all.sigma.reshape(-1, 1, 1, 1)];
    return x.sub(alpha.mul(centre)).mul(sigma).div(variance(all));
  };

const doubled = (c: Coefficients): Coefficients =>
  Object.fromEntries(Object.entries(c).map(([name, t]) => [name, concat([t, t], 0)])) as unknown as Coefficients;

/** The exact classifier of x_t. */
export const exactClassifier =
  (c: Coefficients): Classifier =>
  (x) => {
    const logit = evidence(x, c).reshape(-1, 1);
    return concat([logit.neg(), logit], 1);
  };

/** int32 [N] of one label. */
export const labels = (label: number, count: number): Tensor<"int32"> => scalar(label, "int32").expand(count);
