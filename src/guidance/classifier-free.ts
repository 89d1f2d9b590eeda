import type { CoefficientName, Coefficients } from "../diffusion/chain.ts";
import type { Prediction } from "../diffusion/prediction.ts";
import { concat, type Tensor } from "../tensor/tensor.ts";
import { labelsOf, type Predictor, repeated, type Scale, scaled } from "./predictor.ts";

export interface ClassifierFreeOptions {
  /** 1 is the conditional prediction, 0 the unconditional one. The paper counts from there: its w is scale - 1. */
  readonly scale: Scale;
  /** The label that stands for no class. */
  readonly nullLabel: number;
}

/**
 * Classifier-free guidance, eps_u + scale (eps_c - eps_u). Eq. 6, Ho & Salimans 2022. Both predictions run as one batch of 2N.
 * Image and mean follow in the same way; variances are those of the conditional prediction.
 */
export function classifierFree(predictor: Predictor, { scale, nullLabel }: ClassifierFreeOptions): Predictor {
  if (scale === 1) return predictor;
  return (xt, c, condition) => {
    const labels = concat([labelsOf(condition, "classifier-free guidance"), repeated(nullLabel, xt)], 0);
    const { lowRes } = condition;
    const both = predictor(twice(xt), doubled(c), {
      ...condition,
      label: labels,
      ...(lowRes && { lowRes: twice(lowRes) }),
    });
    const mixed = (tensor: Tensor): Tensor => {
      const [conditional, unconditional] = tensor.split(0, 2) as [Tensor, Tensor];
      return unconditional.add(scaled(conditional.sub(unconditional), scale));
    };
    const ofConditional = (tensor: Tensor): Tensor => tensor.split(0, 2)[0]!;
    const prediction: Prediction = {
      eps: mixed(both.eps),
      x0: mixed(both.x0),
      variance: ofConditional(both.variance),
      logVariance: ofConditional(both.logVariance),
    };
    return both.mean ? { ...prediction, mean: mixed(both.mean) } : prediction;
  };
}

const twice = (tensor: Tensor): Tensor => concat([tensor, tensor], 0);

const doubled = (c: Coefficients): Coefficients =>
  Object.fromEntries(Object.entries(c).map(([name, values]) => [name, twice(values)])) as Record<
    CoefficientName,
    Tensor
  >;
