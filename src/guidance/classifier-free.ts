import type { CoefficientName, Coefficients } from "../diffusion/noise-schedule.ts";
import type { Prediction } from "../diffusion/prediction.ts";
import { concat } from "../tensor/functions.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { linear, type Mix, plusPlus } from "./mix.ts";
import { labelsOf, type Predictor, repeated, type Scale } from "./predictor.ts";

export interface ClassifierFreeOptions {
  /** 1 is the conditional prediction, 0 the unconditional one. The paper counts from there: its w is scale - 1. */
  readonly scale: Scale;
  /** The label that stands for no class. */
  readonly nullLabel: number;
  /** How the two predictions are mixed; `linear` by default. */
  readonly mix?: Mix;
}

/**
 * Classifier-free guidance, eps_u + scale (eps_c - eps_u). Eq. 6, Ho & Salimans 2022. Both predictions run as one batch of 2N.
 * Scale 1 is off, and only the conditional prediction is computed; but not for CFG++, which also needs the unconditional noise there.
 */
export function classifierFree(
  predictor: Predictor,
  { scale, nullLabel, mix = linear }: ClassifierFreeOptions,
): Predictor {
  if (scale === 1 && mix !== plusPlus) return predictor;
  return (xt, c, condition) => {
    const labels = concat([labelsOf(condition, "classifier-free guidance"), repeated(nullLabel, xt)], 0);
    const { lowRes } = condition;
    const both = predictor(twice(xt), doubled(c), {
      ...condition,
      label: labels,
      ...(lowRes && { lowRes: twice(lowRes) }),
    });
    const [conditional, unconditional] = halves(both);
    return mix(conditional, unconditional, scale, xt, c);
  };
}

const twice = (tensor: Tensor): Tensor => concat([tensor, tensor], 0);

const doubled = (c: Coefficients): Coefficients =>
  Object.fromEntries(Object.entries(c).map(([name, values]) => [name, twice(values)])) as Record<
    CoefficientName,
    Tensor
  >;

/** The predictions of a batch of 2N, N and N. */
function halves(both: Prediction): [Prediction, Prediction] {
  const half = (i: number): Prediction =>
    Object.fromEntries(
      Object.entries(both).map(([name, tensor]: [string, Tensor]) => [name, tensor.split(0, 2)[i]!]),
    ) as unknown as Prediction;
  return [half(0), half(1)];
}
