import type { Coefficients, ProcessConfig } from "../diffusion/noise-schedule.ts";
import { clipX0, type Prediction, predict } from "../diffusion/prediction.ts";
import { networkInput, perImage } from "../diffusion/process.ts";
import { UsageError } from "../errors.ts";
import { scalar, type Tensor } from "../tensor/tensor.ts";

/** What the pictures are asked to be. */
export interface Condition {
  /** Class of each image, int32 [N]. */
  readonly label?: Tensor<"int32"> | undefined;
  /** The small image that an upsampler enlarges to each image, [N, C, h, w]. */
  readonly lowRes?: Tensor | undefined;
  /** Scale of classifier-free guidance, [N], for a student that learnt to follow it. */
  readonly guidanceScale?: Tensor | undefined;
}

/**
 * Everything that a sampler knows of a model: x_t [N, C, H, W] to what is known of the image in it. Guidance maps predictors to
 * predictors.
 */
export type Predictor = (xt: Tensor, c: Coefficients, condition: Condition) => Prediction;

/** A network with its weights: x_t [N, C, H, W] and timesteps [N] to [N, C, H, W], or [N, 2C, H, W] where it learns variances. */
export type Denoiser = (xt: Tensor, timestep: Tensor, condition: Condition) => Tensor;

/** A noisy classifier with its weights: x_t [N, C, H, W] and timesteps [N] to logits [N, K]. */
export type Classifier = (xt: Tensor, timestep: Tensor) => Tensor;

/** How strong guidance is: a number, which becomes part of the program, or a tensor, one value for all images or [N]. */
export type Scale = Tensor | number;

/** `x` times the scale of its image. */
export const scaled = (x: Tensor, scale: Scale): Tensor =>
  x.mul(typeof scale === "number" ? scale : perImage(scale, x));

/** A network as a predictor. */
export const denoiserPredictor =
  (denoise: Denoiser, config: ProcessConfig): Predictor =>
  (xt, c, condition) =>
    predict(denoise(networkInput(xt, c.timestep, config), c.timestep, condition), xt, c, config);

/** Limits predicted images to [-1, 1]. */
export const clipped =
  (predictor: Predictor): Predictor =>
  (xt, c, condition) =>
    clipX0(predictor(xt, c, condition), xt, c);

/** int32 [N], the same label for each image. */
export const repeated = (label: number, xt: Tensor): Tensor<"int32"> => scalar(label, "int32").expand(xt.shape[0]!);

/** The condition's labels. Throws UsageError where there are none. */
export function labelsOf({ label }: Condition, what: string): Tensor<"int32"> {
  if (!label) throw new UsageError(`${what} needs a label for each image, but the condition has none`);
  return label;
}
