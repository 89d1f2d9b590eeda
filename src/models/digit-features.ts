import { groupNorm } from "../nn/group-norm.ts";
import { conv2d, linear, silu } from "../nn/layers.ts";
import { module } from "../nn/module.ts";
import type { Tensor } from "../tensor/tensor.ts";

const block = (inputs: number, outputs: number, stride = 1) =>
  module({ conv: conv2d(inputs, outputs, 3, { stride }), norm: groupNorm(outputs, 8) }, ({ conv, norm }, x: Tensor) =>
    silu(norm(conv(x))),
  );

/**
 * What clean digits look like, to a network that was trained to tell them apart: the ruler of the metrics, and nothing that guides.
 *
 * x [N, 1, 28, 28] in [-1, 1] -> `logits` [N, 10]; `features` [N, 64], means over the image of what the logits are a linear map of;
 * `spatial` [N, 4, 7, 7], the first channels of an earlier layer, which keep the place (as sFID takes them; Nash et al. 2021).
 */
export const digitFeatures = module(
  {
    blocks: [block(1, 16, 2), block(16, 32), block(32, 48, 2), block(48, 64), block(64, 64)],
    head: linear(64, 10),
  },
  ({ blocks, head }, x: Tensor) => {
    const layers: Tensor[] = [];
    for (const each of blocks) layers.push(each(layers.at(-1) ?? x));
    const features = layers.at(-1)!.mean([2, 3]);
    return { logits: head(features), features, spatial: layers[2]!.slice(1, 0, 4) };
  },
);
