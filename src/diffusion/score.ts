import { where } from "../tensor/functions.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Coefficients } from "./noise-schedule.ts";
import type { Prediction } from "./prediction.ts";
import { perImage } from "./process.ts";

/** grad log p(x_t) = -eps / sigma_t. Section 4.2, Dhariwal & Nichol 2021. */
export const score = (eps: Tensor, { sigma }: Pick<Coefficients, "sigma">): Tensor =>
  eps.div(perImage(sigma, eps)).neg();

/**
 * The prediction whose score is larger by `shift` [N, C, H, W], eps - sigma_t shift. Eq. 14, Dhariwal & Nichol 2021.
 * The image follows, x0 + sigma_t^2 / alpha_t shift, and so does the mean of x_{t-1}; variances stay.
 */
export function shiftScore(
  { mean: _, renoise, ...prediction }: Prediction,
  shift: Tensor,
  c: Pick<Coefficients, "alpha" | "sigma">,
): Prediction {
  // Where nothing of the image is left, x_t tells nothing of the class either, and there is no shift.
  const noiseShift = shift.mul(perImage(where(c.alpha.equal(0), 0, c.sigma), shift));
  return {
    ...prediction,
    eps: prediction.eps.sub(noiseShift),
    x0: prediction.x0.add(noiseShift.mul(perImage(c.sigma.div(c.alpha.maximum(1e-12)), shift))),
    ...(renoise && { renoise: renoise.sub(noiseShift) }),
  };
}
