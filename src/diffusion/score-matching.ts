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
 * The score of a density exp(-energy), whatever it integrates to: -grad energy. Song & Kingma 2021, "How to train
 * your energy-based models". Matching it differentiates a gradient.
 *
 * @param energy of each image, x [N, C, H, W] -> [N]; the images must not see each other.
 * @returns of x's shape.
 */
export const energyScore = (energy: (x: Tensor) => Tensor, x: Tensor): Tensor =>
  gradients(energy(x).sum(), { x }).x.neg();

/**
 * Least and largest deviation of the noise that is added to images as they are. With the least nobody sees it; the largest is about the
 * distance between the two images that are farthest apart (technique 1, Song & Ermon 2020).
 */
export type SigmaRange = readonly [least: number, most: number];

/**
 * Geometric between the least deviation, at 0, and the largest, at 1. Section 3.4, Song et al. 2021.
 *
 * @throws UsageError unless 0 < least < most < infinity.
 */
export function sigmaAt([least, most]: SigmaRange, place: number): number {
  if (!(least > 0 && most > least && most < Number.POSITIVE_INFINITY))
    throw new UsageError(`sigmaRange must be two positive numbers, the least first, but is ${least}, ${most}`);
  return least * (most / least) ** place;
}
