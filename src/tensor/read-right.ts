import { oneHot, where } from "./functions.ts";
import type { Labels, Tensor } from "./tensor.ts";

/** 1 where the label's logit is above all others, 0 where another is as large or one is NaN: logits [N, K], labels [N] -> float32 [N]. */
export const readRight = (logits: Tensor, labels: Labels): Tensor => {
  const classes = logits.shape[1]!;
  const isOwn = oneHot(labels, classes).equal(1);
  // Products with `oneHot` would make infinite logits NaN, and the largest of several may pass over a NaN.
  const own = where(isOwn, logits, 0).sum(1, true);
  const less = where(isOwn, Number.NEGATIVE_INFINITY, logits).less(own);
  return less.cast("float32").sum(1).equal(classes).cast("float32");
};
