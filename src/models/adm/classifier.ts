import { attentionPool, headCount } from "../../nn/attention.ts";
import { groupNorm } from "../../nn/group-norm.ts";
import { conv2d, linear, sequential, silu } from "../../nn/layers.ts";
import { module, zeroInit } from "../../nn/module.ts";
import { spaceToDepth } from "../../nn/space-to-depth.ts";
import { concat } from "../../tensor/functions.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ClassifierNetwork } from "../family.ts";
import type { ClassifierConfig } from "./config.ts";
import { type Block, encoder } from "./encoder.ts";

/**
 * The ADM classifier p(y | x_t): the downward half of the UNet, then pooling (Dhariwal & Nichol 2021, section 4). Its parameters
 * are named as in openai/guided-diffusion; `config.outChannels` is the number of classes.
 */
export function encoderUnet(config: ClassifierConfig): ClassifierNetwork {
  const { pool = "attention", patchSize = 1 } = config;
  const { children, skips, channels, factor } = encoder(config);
  const spatial = pool === "spatial" || pool === "spatial_v2";
  const features = skips.reduce((sum, n) => sum + n, channels);
  const { imageSize, imageWidth = imageSize } = config;
  const size = [Math.floor(imageSize / factor), Math.floor(imageWidth / factor)] as const;
  const out = head(config, channels, size, features);
  return module({ ...children, out }, (self, x: Tensor, t: Tensor) => {
    const emb = self.time_embed(t);
    let h = spaceToDepth(x, patchSize);
    const means: Tensor[] = [];
    for (const layers of [...self.input_blocks, self.middle_block]) {
      h = sequential(layers, h, emb);
      if (spatial) means.push(h.mean([2, 3])); // [N, C]
    }
    return sequential(self.out, spatial ? concat(means, 1) : h, emb);
  });
}

/** Children of the last part, from activations [N, channels, ...size] or pooled features [N, features] to logits. */
function head(config: ClassifierConfig, channels: number, size: readonly [number, number], features: number): Block[] {
  const { outChannels, numHeads, numHeadChannels, normGroups = 32, pool = "attention" } = config;
  const hidden = 2048;
  switch (pool) {
    case "attention": {
      const heads = headCount(channels, { heads: numHeads, headChannels: numHeadChannels });
      return [groupNorm(channels, normGroups), silu, attentionPool(size, channels, heads, outChannels)];
    }
    case "adaptive":
      return [groupNorm(channels, normGroups), silu, meanPixel, zeroInit(conv2d(channels, outChannels, 1)), flatten];
    case "spatial":
      return [linear(features, hidden), relu, linear(hidden, outChannels)];
    case "spatial_v2":
      return [linear(features, hidden), groupNorm(hidden), silu, linear(hidden, outChannels)];
  }
}

const meanPixel = (x: Tensor): Tensor => x.mean([2, 3], true);
const flatten = (x: Tensor): Tensor => x.reshape(x.shape[0]!, -1);
const relu = (x: Tensor): Tensor => x.maximum(0);
