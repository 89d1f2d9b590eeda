import { limited } from "../../diffusion/prediction.ts";
import { epsFromX0 } from "../../diffusion/process.ts";
import { UsageError } from "../../errors.ts";
import { number, problemOf } from "../../setting.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { defineGuidance } from "../guidance.ts";
import { clipped, type Predictor } from "../predictor.ts";

/**
 * Dynamic thresholding: an image whose values reach beyond [-1, 1] is limited to [-s, s] and divided by s, where s is a percentile of
 * its absolute values and at least 1. Large scales of guidance push many values out; a plain limit would make them all black or white.
 * Section 2.3, Saharia et al. 2022 (Imagen).
 *
 * @param percentile above 0, to 100; 99.5 is usual. Between two values it is interpolated linearly, as numpy does.
 * @throws UsageError for another one
 */
export function thresholded(predictor: Predictor, percentile: number): Predictor {
  const problem = problemOf(thresholdGuidance.settings.threshold, percentile);
  if (problem) throw new UsageError(`threshold ${problem}`);
  return (xt, c, condition) => {
    const prediction = predictor(xt, c, condition);
    const s = percentileOf(prediction.x0.abs(), percentile).maximum(1);
    const x0 = limited(prediction.x0, prediction.x0.maximum(s.neg()).minimum(s).div(s));
    return { ...prediction, x0, eps: epsFromX0(xt, x0, c) };
  };
}

/** A percentile of each image's values: [N, ...] -> [N, 1, ...]. */
function percentileOf(x: Tensor, percentile: number): Tensor {
  const flat = x.reshape(x.shape[0]!, -1);
  const size = flat.shape[1]!;
  const place = (percentile / 100) * (size - 1);
  const below = Math.floor(place);
  // The least is the size-th largest.
  const least = flat.kthLargest(size - below);
  const value =
    place === below
      ? least
      : least.add(
          flat
            .kthLargest(size - below - 1)
            .sub(least)
            .mul(place - below),
        );
  return value.reshape(-1, ...x.shape.slice(1).map(() => 1));
}

export const thresholdGuidance = defineGuidance({
  settings: {
    /** Dynamic thresholding in place of the limit of [-1, 1]: a percentile of each image's absolute values; 99.5 is usual. */
    threshold: number(
      "dynamic thresholding: limit images to this percentile of their values, 99.5, and not to [-1, 1]",
      {
        noun: "percentile",
        above: 0,
        to: 100,
        otherwise: "off",
        cost: "on",
      },
    ),
  },
  always: true,
  guide({ threshold }, predictor, { clip }) {
    if (threshold !== undefined) return thresholded(predictor, threshold);
    return clip ? clipped(predictor) : predictor;
  },
  describe: ({ threshold }) => (threshold === undefined ? undefined : `thresholded at ${threshold}`),
});
