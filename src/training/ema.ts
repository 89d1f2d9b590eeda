import type { Tensor } from "../tensor/tensor.ts";

export interface EmaOptions {
  /** Share of the old average that an update keeps. */
  rate?: number;
  /** Forget the random first weights sooner: the rate starts low and rises with the updates. */
  warmUp?: boolean;
}

const emaDefaults = { rate: 0.9999, warmUp: true } as const;

/** Weight of the new parameters in the average after update number `update` (1, 2, ...): 1 - min(rate, (1 + update) / (10 + update)). */
export function emaWeight(update: number, options: EmaOptions = {}): number {
  const { rate, warmUp } = { ...emaDefaults, ...options };
  return 1 - (warmUp ? Math.min(rate, (1 + update) / (10 + update)) : rate);
}

/** average + weight (parameter - average); `weight` of rank 0. */
export const ema = (average: Tensor, parameter: Tensor, weight: Tensor): Tensor =>
  average.add(parameter.sub(average).mul(weight));
