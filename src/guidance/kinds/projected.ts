import { epsFromX0 } from "../../diffusion/process.ts";
import { definedOf, number, type OpenValues } from "../../setting.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { defineGuidance, nothingToMix } from "../guidance.ts";
import { type GuidanceMix, imageAxes } from "../mix.ts";
import { scaled } from "../predictor.ts";

/** Settings of adaptive projected guidance. */
export interface Projection {
  /** How much stays of the part of the guidance along the predicted image, which makes colours too strong: 0, nothing, to 1, all. */
  readonly eta: number;
  /** Longest difference of two predicted images, as the norm over all values of an image; 0 is no limit. */
  readonly threshold: number;
  /** How much of the last difference counts, negative to turn away from it; 0 is none. */
  readonly momentum: number;
}

/** Weighted sum of all differences of images up to now, [N, C, H, W]. Each evaluation that is traced leaves the next value here. */
export interface Momentum {
  average: Tensor;
}

/**
 * Adaptive projected guidance: better + (scale - 1) (orthogonal + eta parallel), parts of the difference of the two images relative to
 * the better image. Before, the difference takes part of the last one with it and is made no longer than the threshold. Section 4 and
 * algorithm 1, Sadat et al. 2024. With eta 1 and neither limit nor momentum it is the linear mix.
 *
 * @param momentum what earlier steps left; without it, or where the setting is 0, each difference stands alone.
 */
export const projected =
  ({ eta, threshold, momentum: share }: Projection, momentum?: Momentum): GuidanceMix =>
  ({ mean: _, ...better }, worse, scale, xt, c) => {
    let difference = better.x0.sub(worse.x0);
    if (momentum && share !== 0) {
      difference = difference.add(momentum.average.mul(share));
      momentum.average = difference;
    }
    const limited = threshold === 0 ? difference : shortened(difference, threshold);
    const parallel = better.x0.mul(dot(limited, better.x0).div(dot(better.x0, better.x0).add(tiny)));
    const x0 = better.x0.add(scaled(limited.add(parallel.mul(eta - 1)), beyondOne(scale)));
    return { ...better, x0, eps: epsFromX0(xt, x0, c) };
  };

const beyondOne = (scale: Tensor | number): Tensor | number => (typeof scale === "number" ? scale - 1 : scale.sub(1));

/** Keeps 0 / 0 away where an image is all zero. */
const tiny = 1e-20;

/** Inner product of each two images, [N, 1, ...]. */
const dot = (a: Tensor, b: Tensor): Tensor => a.mul(b).sum(imageAxes(a), true);

/** x, or as much of it as has this norm. */
const shortened = (x: Tensor, most: number): Tensor =>
  x.mul(dot(x, x).add(tiny).sqrt().reciprocal().mul(most).minimum(1));

const settings = {
  /** Adaptive projected guidance: share that stays of what guidance adds along the image. Off unless one of the three is given; then 0. */
  apgEta: number("adaptive projected guidance: share that stays of what guidance adds along the image", {
    otherwise: "off, or 0 with another --apg",
    cost: "on",
    formerly: "apg.eta",
  }),
  /** Longest difference between the predictions, as a norm; 0 is no limit. */
  apgThreshold: number("the same: longest difference between the predictions, as a norm; 0 is no limit", {
    from: 0,
    otherwise: "0 with another --apg",
    cost: "on",
    formerly: "apg.threshold",
  }),
  /** Weight of the last difference, negative to turn away from it; 0 is none. */
  apgMomentum: number("the same: weight of the last difference, negative to turn away from it", {
    otherwise: "0 with another --apg",
    cost: "on",
    formerly: "apg.momentum",
  }),
};

/** The projection that settings mean, if they mean one. */
function projectionOf({ apgEta, apgThreshold, apgMomentum }: OpenValues<typeof settings>): Projection | undefined {
  if (apgEta === undefined && apgThreshold === undefined && apgMomentum === undefined) return undefined;
  return { eta: apgEta ?? 0, threshold: apgThreshold ?? 0, momentum: apgMomentum ?? 0 };
}

export const projectedGuidance = defineGuidance({
  settings,
  usual(asked, record) {
    const projection = projectionOf({ ...record, ...definedOf(asked) });
    if (!projection) return {};
    return { apgEta: projection.eta, apgThreshold: projection.threshold, apgMomentum: projection.momentum };
  },
  problem(values, around) {
    const projection = projectionOf(values);
    if (!projection) return undefined;
    if (projection.momentum !== 0 && around.mixing > 1)
      return "momentum remembers one difference, but classifier-free guidance and autoguidance make two; use apgMomentum 0";
    return nothingToMix("apg", around);
  },
  mix(values, mix, memory) {
    const projection = projectionOf(values);
    return projection
      ? projected(projection, "average" in memory ? (memory as Momentum & typeof memory) : undefined)
      : mix;
  },
  changes: ({ apgMomentum = 0 }) => (apgMomentum === 0 ? [] : ["apgMomentum"]),
  remembers: ({ apgMomentum = 0 }) => (apgMomentum === 0 ? [] : ["average"]),
  describe(values, { mixed }) {
    const projection = projectionOf(values);
    if (!projection || !mixed) return undefined;
    return `projected, eta ${projection.eta}, threshold ${projection.threshold}, momentum ${projection.momentum}`;
  },
});
