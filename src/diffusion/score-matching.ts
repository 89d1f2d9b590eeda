import { UsageError } from "../errors.ts";
import { gradients } from "../tensor/gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { meanPerImage, perImage } from "./process.ts";

/**
 * Denoising score matching: the squared distance of a score to grad log q(x | x_0) = -noise / sigma, times sigma^2 so that every
 * noise level weighs the same; mean over each image, [N]. Eq. 5 and 6, Song & Ermon 2019; Vincent 2011.
 *
 * @param score what the network says of x = alpha x_0 + sigma noise, [N, C, H, W]; alpha may be anything.
 */
export const scoreMatchingLoss = (score: Tensor, noise: Tensor, { sigma }: { readonly sigma: Tensor }): Tensor =>
  meanPerImage(score.mul(perImage(sigma, score)).add(noise).square());

/**
 * The score of a density exp(-energy), whatever it integrates to: -grad energy. Section 2, LeCun et al. 2006; Song & Kingma 2021, "How
 * to train your energy-based models". Matching it differentiates a gradient.
 *
 * @param energy of each image, x [N, C, H, W] -> [N]; the images must not see each other.
 * @returns of x's shape.
 */
export const energyScore = (energy: (x: Tensor) => Tensor, x: Tensor): Tensor =>
  gradients(energy(x).sum(), { x }).x.neg();

/** Deviations of the noise that is added to images as they are: "variance exploding". */
export interface NoiseScales {
  /** So little that nobody sees it. */
  readonly lowest: number;
  /** As large as the distance between the images that are farthest apart. Technique 1, Song & Ermon 2020. */
  readonly highest: number;
}

/**
 * Geometric between the lowest deviation, at 0, and the highest, at 1. Section 3.4, Song et al. 2021.
 *
 * @throws UsageError unless 0 < lowest < highest < infinity.
 */
export function noiseScaleAt({ lowest, highest }: NoiseScales, place: number): number {
  if (!(lowest > 0 && highest > lowest && highest < Number.POSITIVE_INFINITY))
    throw new UsageError(
      `noise scales must be two positive numbers, the lowest below the highest, but are ${lowest} and ${highest}`,
    );
  return lowest * (highest / lowest) ** place;
}
