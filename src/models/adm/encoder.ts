import { attentionBlock, headCount } from "../../nn/attention.ts";
import { conv2d, linear, silu } from "../../nn/layers.ts";
import { type Module, module } from "../../nn/module.ts";
import { convDownsample, halve } from "../../nn/resample.ts";
import { timestepEmbedding } from "../../nn/timestep-embedding.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { BackboneConfig } from "./config.ts";
import { residualBlock } from "./residual-block.ts";

/** A layer between activations [N, C, H, W]; some also take the embedding [N, E]. */
export type Block = Module<[x: Tensor, emb: Tensor]> | ((x: Tensor) => Tensor);

/** Residual and attention blocks with the options that a configuration fixes for all of them. */
export function blocks(config: BackboneConfig) {
  const { modelChannels, useScaleShiftNorm = true, useNewAttentionOrder = true, normGroups = 32 } = config;
  const embChannels = 4 * modelChannels;
  return {
    residual: (channels: number, outChannels: number, resample?: "down" | "up") =>
      residualBlock({ channels, outChannels, embChannels, useScaleShiftNorm, normGroups, resample }),
    attention: (channels: number, heads = config.numHeads) =>
      attentionBlock(channels, headCount(channels, { heads, headChannels: config.numHeadChannels }), {
        newOrder: useNewAttentionOrder,
        groups: normGroups,
      }),
  };
}

/** Channels at one resolution: a fraction of `modelChannels` is rounded down. */
export const levelChannels = ({ modelChannels, channelMult }: BackboneConfig, level: number): number =>
  Math.floor(channelMult[level]! * modelChannels);

/** Learned embedding of the timestep: float32 [N] -> [N, 4 channels]. */
const timeEmbed = (channels: number) =>
  module({ 0: linear(channels, 4 * channels), 2: linear(4 * channels, 4 * channels) }, (layers, t: Tensor) =>
    layers[2](silu(layers[0](timestepEmbedding(t, channels)))),
  );

/**
 * The downward half and the middle, which the UNet and the classifier share. It takes images as `spaceToDepth` of `patchSize` gives them.
 *
 * @returns `children`, under their state-dict names; `skips`, the channels after each input block; `channels`, those after
 *   the middle; `factor`, by which height and width have shrunk there.
 */
export function encoder(config: BackboneConfig) {
  const {
    inChannels,
    patchSize = 1,
    numResBlocks,
    attentionResolutions,
    channelMult,
    resblockUpdown = true,
    convResample = true,
  } = config;
  const { residual, attention } = blocks(config);
  let channels = levelChannels(config, 0);
  let factor = patchSize;
  const inputBlocks: Block[][] = [[conv2d(inChannels * patchSize ** 2, channels, 3)]];
  const skips = [channels];
  const add = (...layers: Block[]): void => {
    inputBlocks.push(layers);
    skips.push(channels);
  };
  for (let level = 0; level < channelMult.length; level++) {
    for (let i = 0; i < numResBlocks; i++) {
      const block = residual(channels, levelChannels(config, level));
      channels = levelChannels(config, level);
      add(block, ...(attentionResolutions.includes(factor) ? [attention(channels)] : []));
    }
    if (level === channelMult.length - 1) break;
    add(resblockUpdown ? residual(channels, channels, "down") : convResample ? convDownsample(channels) : halve);
    factor *= 2;
  }
  const children = {
    time_embed: timeEmbed(config.modelChannels),
    input_blocks: inputBlocks,
    middle_block: [residual(channels, channels), attention(channels), residual(channels, channels)] as Block[],
  };
  return { children, skips, channels, factor };
}
