import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { predict } from "../diffusion/prediction.ts";
import { perImage } from "../diffusion/process.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Condition, Predictor } from "./predictor.ts";

/** A score network with its weights: grad log p of x = x_0 + sigma noise, [N, C, H, W], at sigma [N]. Of x's shape. */
export type ScoreNetwork = (x: Tensor, sigma: Tensor, condition: Condition) => Tensor;

/**
 * A score network as a predictor, eps = -sigma score, so that every sampler and every guidance serves it. In a process whose alpha is
 * not 1 it is asked for the same image with the same ratio of noise, x / alpha at sigma / alpha; so one network serves every process.
 */
export const scorePredictor =
  (network: ScoreNetwork, config: ProcessConfig): Predictor =>
  (xt, c, condition) => {
    const ratio = c.sigma.div(c.alpha);
    const score = network(xt.div(perImage(c.alpha, xt)), ratio, condition);
    const eps = score.mul(perImage(ratio, xt)).neg();
    return predict(eps, xt, c, { ...config, prediction: "eps" });
  };
