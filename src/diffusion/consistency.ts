import type { NDArray } from "../ndarray.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { NoiseLevel } from "./noise-level.ts";
import { meanPerImage } from "./process.ts";

/*
 * Consistency functions f(x_t, t): where the probability flow through x_t ends, the same at all places of one trajectory, and x_t itself where
 * there is no noise. Song et al. 2023, "Consistency models".
 */

/** Trajectories of the flow from noise to pictures, as a teacher's sampler went. */
export interface Trajectories {
  /** The levels that were visited, the most noise first. */
  readonly levels: readonly NoiseLevel[];
  /** The images at each of them, [N, C, H, W]. */
  readonly x: readonly NDArray<"float32">[];
  /** The pictures at which they end, [N, C, H, W]. */
  readonly end: NDArray<"float32">;
  /** Class of each, [N], where the teacher is told one. */
  readonly labels?: NDArray<"int32">;
  /** Scale of classifier-free guidance of each, [N], where it has that. */
  readonly guidanceScales?: NDArray<"float32">;
}

/** c of `pseudoHuber` for a root mean square: 0.00054 sqrt(d) for a norm over d values. Section 3.3, Song & Dhariwal 2024. */
const hubersC = 0.00054;

/**
 * Distance of two images [N, C, H, W] as the pseudo-Huber metric sqrt(|a - b|^2 + c^2) - c has it, [N]; |a - b| is here the root mean square
 * over an image's values. Errors count by their size, not its square, so that a few images far off don't rule.
 */
export const pseudoHuber = (a: Tensor, b: Tensor): Tensor =>
  meanPerImage(a.sub(b).square())
    .add(hubersC ** 2)
    .sqrt()
    .sub(hubersC);

/** k and b of `earlierRatio`. Appendix, Geng et al. 2024. */
const [adjust, slope] = [8, 1] as const;

/**
 * The level r that is compared with t, as ratios sigma / alpha: r = t (1 - n(t) / q^a), n(t) = 1 + k sigmoid(-b t), or 0. In stage 0 r is 0,
 * which trains a denoiser; with every stage r comes nearer to t, which makes it a consistency function. Section 3 of Geng et al. 2024,
 * "Consistency models made easy", with q = 2.
 *
 * @param stage a: 0, 1, 2, ...
 */
export const earlierRatio = (t: number, stage: number): number =>
  stage === 0 ? 0 : Math.max(0, t * (1 - (1 + adjust / (1 + Math.exp(slope * t))) / 2 ** stage));

/** Weight of the distance at a level, by its ratio sigma / alpha: 1 / t^2 + 1 / sigmaData^2. Section 3, Geng et al. 2024. */
export const tuningWeight = (t: number, sigmaData: number): number => 1 / t ** 2 + 1 / sigmaData ** 2;
