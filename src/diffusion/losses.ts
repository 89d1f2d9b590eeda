import { UsageError } from "../errors.ts";
import { full, type Tensor } from "../tensor/tensor.ts";
import { vbTerm } from "./likelihood.ts";
import type { Coefficients, NoiseSchedule, ProcessConfig } from "./noise-schedule.ts";
import { type Noised, predict, splitOutput, targetOf } from "./prediction.ts";
import { meanPerImage } from "./process.ts";

/**
 * What training makes small:
 * - `simple`: squared error of the prediction (L_simple, Ho et al. 2020);
 * - `hybrid`: the same, and where variances are learned the variational bound, which teaches them alone (L_hybrid, Nichol & Dhariwal
 *   2021);
 * - `vlb`: the variational bound (L_vlb).
 */
export type LossKind = "simple" | "hybrid" | "vlb";

/** Each [N]; `loss` is the sum of the others. `mse` in squared units of the target, `vb` in bits per dimension. */
export interface Losses {
  /** What is made small. */
  readonly loss: Tensor;
  /** Mean squared error of the target. */
  readonly mse?: Tensor;
  /** Term of the variational bound. */
  readonly vb?: Tensor;
}

/**
 * Weight of an image's squared error: 1, its signal-to-noise ratio, at most `minSnrLimit` (see `minSnrWeight`), or that which makes it the
 * error of the flow's velocity (see `velocityWeight`).
 */
export const lossWeights = ["none", "min-snr", "velocity"] as const;
/** One of `lossWeights`. */
export type LossWeight = (typeof lossWeights)[number];

/** Settings of `trainingLoss`. */
export interface LossOptions {
  /** `hybrid` by default. */
  readonly loss?: LossKind;
  /** Of the squared error at each noise level; none by default. The variational terms have none. */
  readonly lossWeight?: LossWeight;
  /**
   * Factor on the term of the bound: by default T for `vlb`, an estimate of the whole bound, and T / 1000 for `hybrid`, for a chain of T
   * steps. With 1, `hybrid` and `vlb` are MSE and KL of openai/guided-diffusion.
   */
  readonly vlbWeight?: number | undefined;
}

/** gamma of Hang et al. 2023. */
const minSnrLimit = 5;

/**
 * Min-SNR weight of each image's squared error, [N]: min(SNR, gamma) where the network predicts x0, with SNR = alpha^2 / sigma^2;
 * the same error of the image is SNR times that of eps and SNR + 1 times that of v. Section 3.4, Hang et al. 2023, "Efficient
 * diffusion training via min-SNR weighting strategy". Where nothing of the image is left it is 0.
 *
 * @throws UsageError where a network predicts something else.
 */
export function minSnrWeight(
  { alpha, sigma }: Pick<Coefficients, "alpha" | "sigma">,
  { prediction }: Pick<ProcessConfig, "prediction">,
  gamma = minSnrLimit,
): Tensor {
  const [signal, noise] = [alpha.square(), sigma.square()];
  if (prediction === "x0") return signal.div(noise).minimum(gamma);
  if (prediction === "eps") return noise.div(signal).mul(gamma).minimum(1);
  // 1 / (SNR + 1) = sigma^2.
  if (prediction === "v") return signal.minimum(noise.mul(gamma));
  throw new UsageError(
    `min-SNR weights are known for networks that predict eps, x0 or v, but this one predicts ${prediction}`,
  );
}

/** Least share of noise by which a velocity is divided. Li & He 2025. */
const leastNoise = 0.05;

/**
 * Weight that makes the squared error of what a network of the flow predicts that of the velocity eps - x_0, [N]. With x_0 predicted the
 * velocity is (x_t - x_0) / t, so that its error is 1 / t^2 times that of the image, t at least 0.05. Table 1 (x-prediction, v-loss), Li &
 * He 2025, "Back to basics: let denoising generative models denoise", where t runs the other way.
 *
 * @throws UsageError for another process than the flow.
 */
export function velocityWeight(
  { sigma }: Pick<Coefficients, "sigma">,
  { schedule, prediction }: Pick<ProcessConfig, "schedule" | "prediction">,
): Tensor {
  if (schedule !== "flow")
    throw new UsageError(
      `velocity weights are for the flow, but the schedule is ${schedule}; choose the process flow, or min-SNR weights`,
    );
  return prediction === "velocity" ? full(sigma.shape, 1) : sigma.maximum(leastNoise).square().reciprocal();
}

const weightOf = {
  "min-snr": minSnrWeight,
  velocity: velocityWeight,
} as const;

/**
 * Loss of each image.
 *
 * @param output what the network gave at `xt` and `c.timestep`, [N, C or 2C, H, W].
 */
export function trainingLoss(
  output: Tensor,
  images: Noised,
  c: Coefficients,
  { config, timesteps: { length: steps } }: Pick<NoiseSchedule, "config" | "timesteps">,
  { loss = "hybrid", lossWeight = "none", vlbWeight = loss === "vlb" ? steps : steps / 1000 }: LossOptions = {},
): Losses {
  const { x0, xt } = images;
  const { value, spread } = splitOutput(output, config);
  if (loss === "vlb") {
    const vb = vbTerm(predict({ value, spread }, xt, c, config), x0, xt, c).mul(vlbWeight);
    return { loss: vb, vb };
  }
  const squaredError = meanPerImage(targetOf(images, c, config).sub(value).square());
  const mse = lossWeight === "none" ? squaredError : squaredError.mul(weightOf[lossWeight](c, config));
  if (!spread || loss === "simple") return { loss: mse, mse };
  // The bound teaches the variance only: its gradient to the mean is stopped. Section 3.1, Nichol & Dhariwal 2021.
  const frozen = predict({ value: value.stopGradient(), spread }, xt, c, config);
  const vb = vbTerm(frozen, x0, xt, c).mul(vlbWeight);
  return { loss: mse.add(vb), mse, vb };
}
