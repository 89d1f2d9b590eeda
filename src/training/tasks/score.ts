import { qSample } from "../../diffusion/process.ts";
import { type SigmaRange, scoreMatchingLoss, sigmaAt } from "../../diffusion/score-matching.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { full, type Tensor } from "../../tensor/tensor.ts";
import { drawNoise, drawTimesteps, dropLabels } from "../draws.ts";
import type { Tensors } from "../step/adamw.ts";
import type { InitialWeights, Task } from "../task.ts";
import type { DataOptions } from "./data.ts";

/** What `scoreTask` and `trainScore` train, and on what. */
export interface ScoreOptions extends DataOptions {
  /**
   * The score of x = x_0 + sigma noise [N, C, H, W] at sigma [N], of x's shape. It may be a gradient itself, `energyScore` of an energy
   * network: then training differentiates twice.
   */
  network: (params: Tensors, x: Tensor, sigma: Tensor, given: { label?: Tensor<"int32"> | undefined }) => Tensor;
  /** Initial weights of the network, by name. */
  weights: InitialWeights;
  /** Smallest and largest standard deviation of the noise. */
  sigmaRange: SigmaRange;
  /** Number of classes of a network that is told the class; its null label is this number. None by default. */
  classes?: number;
  /** Share of the images that are trained with the null label, for classifier-free guidance. */
  labelDropout?: number;
}

/** Values of a batch of score matching: images and noise [N, C, H, W], the standard deviation of each image's noise and its label, [N]. */
export type ScoreBatch = Readonly<Record<"x0" | "noise" | "sigma", NDArray<"float32">>> & {
  readonly y?: NDArray<"int32">;
};

/**
 * Training a score network by denoising score matching. Noise and its standard deviation, evenly distributed in logarithm, are drawn
 * afresh for every image. Song & Ermon 2019; continuous deviations as in Song et al. 2021.
 */
export function scoreTask(options: ScoreOptions): Task<ScoreBatch> {
  const { network, weights, batchAt, sigmaRange, classes, labelDropout = 0, seed = 0 } = options;
  return {
    weights,
    async batchAt(step) {
      const { x, y } = await batchAt(step);
      const count = x.shape[0]!;
      const places = drawTimesteps(seed, step, count);
      return {
        x0: x,
        noise: drawNoise(seed, step, x.shape),
        sigma: float32(
          [count],
          Array.from(places, (place) => sigmaAt(sigmaRange, place)),
        ),
        ...(classes === undefined ? {} : { y: dropLabels(seed, step, y, classes, labelDropout) }),
      };
    },
    loss(params, { x0, noise, sigma, y }) {
      const x = qSample(x0, noise, { alpha: full(sigma.shape, 1), sigma });
      return { objective: scoreMatchingLoss(network(params, x, sigma, { label: y }), noise, { sigma }) };
    },
  };
}
