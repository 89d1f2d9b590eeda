import type { Tensor } from "../tensor/tensor.ts";
import type { Coefficients } from "./noise-schedule.ts";
import { epsFromX0, perImage, posteriorMean, vOf, x0FromEps } from "./process.ts";
import { learnsVariance, type ProcessConfig, sigmaDataOf } from "./process-config.ts";

/**
 * What is known of an image from x_t, whatever the network's output stands for. `eps` and `x0` belong together:
 * x_t = alpha_t x0 + sigma_t eps. All are [N, C, H, W]; variances may be [N, 1, 1, 1].
 */
export interface Prediction {
  /** The noise in x_t. */
  readonly eps: Tensor;
  /** The image in x_t. */
  readonly x0: Tensor;
  /** Mean of x_{t-1} where it is not the posterior's for `x0`: the network gave it, or guidance moved it. See `reverseMean`. */
  readonly mean?: Tensor;
  /** Noise of which DDIM makes that of x_{t-1} where it is not `eps`: CFG++ takes the unconditional one. */
  readonly renoise?: Tensor;
  /** Variance of x_{t-1} given x_t. */
  readonly variance: Tensor;
  /** Its logarithm; finite also at index 0, where a fixed small variance is 0. */
  readonly logVariance: Tensor;
}

/** A network's output: the prediction [N, C, H, W] and, where variances are learned, C more channels that speak of them. */
export interface Output {
  /** What the process says that networks predict. */
  readonly value: Tensor;
  /** What tells the variance. */
  readonly spread?: Tensor | undefined;
}

/** Takes the channels of a network's output apart: [N, C or 2C, H, W]. */
export function splitOutput(output: Tensor, config: Pick<ProcessConfig, "variance">): Output {
  if (!learnsVariance(config)) return { value: output };
  const [value, spread] = output.split(1, 2);
  return { value: value!, spread: spread! };
}

/** A clean image, the noise that was added, and what came of both. */
export interface Noised {
  /** The image, in about [-1, 1]. */
  readonly x0: Tensor;
  /** Standard normal. */
  readonly noise: Tensor;
  /** `qSample(x0, noise, c)`. */
  readonly xt: Tensor;
}

/** What a network should answer, so that `predict` finds this image and this noise: the target of its squared error. */
export function targetOf({ x0, noise, xt }: Noised, c: Coefficients, config: ProcessConfig): Tensor {
  switch (config.prediction) {
    case "eps":
      return noise;
    case "x0":
      return x0;
    case "v":
      return vOf(x0, noise, c);
    case "previous":
      return posteriorMean(x0, xt, c);
    case "velocity":
      return noise.sub(x0);
    case "edm": {
      const { skip, out } = preconditioning(xt, c, config);
      return x0.sub(xt.mul(skip)).div(out);
    }
  }
}

/**
 * The image is skip x + out F(x), F the network: where there is little noise mostly x itself, and F's target has variance 1 at every
 * noise level, for images of the deviation that the config names. Table 1, Karras et al. 2022; its loss weights are those of the
 * plain squared error of F.
 */
function preconditioning(xt: Tensor, { sigma }: Pick<Coefficients, "sigma">, config: ProcessConfig) {
  const deviation = sigmaDataOf(config);
  const variance = sigma.square().add(deviation ** 2);
  return {
    skip: perImage(variance.reciprocal().mul(deviation ** 2), xt),
    out: perImage(sigma.mul(deviation).div(variance.sqrt()), xt),
  };
}

/** Reads a network's output at x_t. The image is not limited to [-1, 1]: see `clipX0`. */
export function predict(output: Tensor | Output, xt: Tensor, c: Coefficients, config: ProcessConfig): Prediction {
  const { value, spread } = "value" in output ? output : splitOutput(output, config);
  return { ...imageAndNoise(value, xt, c, config), ...reverseVariance(spread, xt, c, config) };
}

function imageAndNoise(
  value: Tensor,
  xt: Tensor,
  c: Coefficients,
  config: ProcessConfig,
): Pick<Prediction, "eps" | "x0" | "mean"> {
  const { prediction } = config;
  if (prediction === "eps") return { eps: value, x0: x0FromEps(xt, value, c) };
  if (prediction === "x0") return { eps: epsFromX0(xt, value, c), x0: value };
  if (prediction === "v") {
    // x_t and v are image and noise turned by an angle, for alpha^2 + sigma^2 = 1; this turns them back. No division, whatever t is.
    const [alpha, sigma] = [perImage(c.alpha, xt), perImage(c.sigma, xt)];
    return { eps: xt.mul(sigma).add(value.mul(alpha)), x0: xt.mul(alpha).sub(value.mul(sigma)) };
  }
  if (prediction === "velocity")
    // alpha + sigma = 1.
    return { eps: xt.add(value.mul(perImage(c.alpha, xt))), x0: xt.sub(value.mul(perImage(c.sigma, xt))) };
  if (prediction === "edm") {
    const { skip, out } = preconditioning(xt, c, config);
    const x0 = xt.mul(skip).add(value.mul(out));
    return { eps: epsFromX0(xt, x0, c), x0 };
  }
  // The x_0 whose posterior has this mean.
  const x0 = value.sub(xt.mul(perImage(c.posteriorXt, xt))).div(perImage(c.posteriorX0, xt));
  return { eps: epsFromX0(xt, x0, c), x0, mean: value };
}

function reverseVariance(
  spread: Tensor | undefined,
  xt: Tensor,
  c: Coefficients,
  { variance }: ProcessConfig,
): Pick<Prediction, "variance" | "logVariance"> {
  if (spread) {
    const logVariance =
      variance === "learned" ? spread : between(spread, perImage(c.posteriorLogVariance, xt), perImage(c.logBeta, xt));
    return { variance: logVariance.exp(), logVariance };
  }
  const [value, log] =
    variance === "fixed-large" ? [c.largeVariance, c.largeLogVariance] : [c.posteriorVariance, c.posteriorLogVariance];
  return { variance: perImage(value, xt), logVariance: perImage(log, xt) };
}

/** v log beta + (1 - v) log beta tilde with v = (spread + 1) / 2. Eq. 15, Nichol & Dhariwal 2021. */
const between = (spread: Tensor, low: Tensor, high: Tensor): Tensor =>
  spread.add(1).mul(0.5).mul(high.sub(low)).add(low);

/**
 * An image after its values were limited, and NaN where they were infinite: 0 times a finite number is 0. Else a network whose numbers overflow
 * would draw black and white.
 */
export const limited = (before: Tensor, after: Tensor): Tensor => after.add(before.mul(0));

/** The same prediction with its image limited to the range of images, [-1, 1], and the noise that then remains. */
export function clipX0(prediction: Prediction, xt: Tensor, c: Coefficients): Prediction {
  const x0 = limited(prediction.x0, prediction.x0.clip(-1, 1));
  return { ...prediction, x0, eps: epsFromX0(xt, x0, c) };
}

/** Mean of p(x_{t-1} | x_t): the posterior's for the predicted image, unless the prediction brings its own. */
export const reverseMean = (prediction: Prediction, xt: Tensor, c: Coefficients): Tensor =>
  prediction.mean ?? posteriorMean(prediction.x0, xt, c);
