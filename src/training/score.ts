import { qSample } from "../diffusion/process.ts";
import { type SigmaRange, scoreMatchingLoss, sigmaAt } from "../diffusion/score-matching.ts";
import { float32 } from "../ndarray.ts";
import { full, type Tensor } from "../tensor/tensor.ts";
import { f32, i32 } from "../tensor/trace.ts";
import type { Tensors } from "./adamw.ts";
import type { DataOptions } from "./denoiser.ts";
import { drawNoise, drawTimesteps, dropLabels } from "./draws.ts";
import type { Weights } from "./events.ts";
import { type StepOptions, shapesOf, trainingGraph } from "./program.ts";
import type { Task } from "./task.ts";

export interface ScoreOptions extends DataOptions, StepOptions {
  /**
   * The score of x = x_0 + sigma noise [N, C, H, W] at sigma [N], of x's shape. It may be a gradient itself, `energyScore` of an energy
   * network: then training differentiates twice.
   */
  network: (params: Tensors, x: Tensor, sigma: Tensor, y?: Tensor) => Tensor;
  /** Initial weights of the network. */
  weights: Weights;
  batchSize: number;
  /** [C, H, W]. */
  imageShape: readonly [number, number, number];
  sigmaRange: SigmaRange;
  /** Number of classes of a network that is told the class; its null label is this number. None by default. */
  classes?: number;
  /** Share of the images that are trained with the null label, for classifier-free guidance. */
  labelDropout?: number;
}

/**
 * Training a score network by denoising score matching. Noise and its deviation, evenly distributed in logarithm, are drawn afresh for
 * every image. Song & Ermon 2019; continuous deviations as in Song et al. 2021.
 */
export function scoreTask(options: ScoreOptions): Task {
  const { network, weights, batchAt, batchSize, imageShape, sigmaRange, classes, labelDropout = 0, seed } = options;
  const images = f32(batchSize, ...imageShape);
  const specs = {
    x0: images,
    noise: images,
    sigma: f32(batchSize),
    ...(classes === undefined ? {} : { y: i32(batchSize) }),
  };
  return {
    graph: () =>
      trainingGraph(
        shapesOf(weights),
        specs,
        (params, { x0, noise, sigma, y }) => {
          const x = qSample(x0, noise, { alpha: full(sigma.shape, 1), sigma });
          return { objective: scoreMatchingLoss(network(params, x, sigma, y), noise, { sigma }), metrics: {} };
        },
        options,
      ),
    weights,
    batchSize,
    async batchAt(step) {
      const { x, y } = await batchAt(step);
      const places = drawTimesteps(seed, step, batchSize);
      return {
        x0: x,
        noise: drawNoise(seed, step, [batchSize, ...imageShape]),
        sigma: float32(
          [batchSize],
          Array.from(places, (place) => sigmaAt(sigmaRange, place)),
        ),
        ...(classes === undefined ? {} : { y: dropLabels(seed, step, y, classes, labelDropout) }),
      };
    },
  };
}
