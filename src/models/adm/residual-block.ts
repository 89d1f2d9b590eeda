import { adaGN } from "../../nn/ada-gn.ts";
import { groupNorm } from "../../nn/group-norm.ts";
import { conv2d, identity, linear, sequential, silu } from "../../nn/layers.ts";
import { adapt, module, zeroInit } from "../../nn/module.ts";
import { double, halve } from "../../nn/resample.ts";
import type { Tensor } from "../../tensor/tensor.ts";

export interface ResidualBlockOptions {
  /** Channels that come in and go out. */
  readonly channels: number;
  readonly outChannels: number;
  /** Width of the timestep and class embedding. */
  readonly embChannels: number;
  /** AdaGN; without it the embedding is added before the second normalisation. */
  readonly useScaleShiftNorm: boolean;
  readonly normGroups: number;
  /** Halve or double height and width inside the block. */
  readonly resample?: "down" | "up" | undefined;
}

/**
 * ADM residual block (Dhariwal & Nichol 2021, section 3), BigGAN's when it resamples:
 * h = conv(silu(GroupNorm(x))); out = skip(x) + conv(silu(AdaGN(h, linear(silu(emb))))).
 * x [N, C, H, W], emb [N, E] -> [N, C', H', W'].
 */
export function residualBlock(options: ResidualBlockOptions) {
  const { channels, outChannels, embChannels, useScaleShiftNorm, normGroups, resample } = options;
  const resize = { down: halve, up: double, none: identity }[resample ?? "none"];
  return module(
    {
      in_layers: [groupNorm(channels, normGroups), silu, conv2d(channels, outChannels, 3)],
      emb_layers: [silu, linear(embChannels, useScaleShiftNorm ? 2 * outChannels : outChannels)],
      out_layers: [
        useScaleShiftNorm ? adaGN(outChannels, normGroups) : groupNormOfSum(outChannels, normGroups),
        silu,
        identity, // where training may drop activations
        zeroInit(conv2d(outChannels, outChannels, 3)),
      ],
      skip_connection: channels === outChannels ? identity : conv2d(channels, outChannels, 1),
    },
    ({ in_layers, emb_layers, out_layers, skip_connection }, x: Tensor, emb: Tensor) => {
      const [norm, activate, conv] = in_layers;
      const h = conv(resize(activate(norm(x))));
      const y = sequential(emb_layers, emb, emb);
      return skip_connection(resize(x)).add(sequential(out_layers, h, y));
    },
  );
}

/** GroupNorm(h + y): the embedding y [N, C] is added to every pixel of h [N, C, H, W] (Ho et al. 2020). */
const groupNormOfSum = (channels: number, groups: number) => {
  const norm = groupNorm(channels, groups);
  return adapt(norm, (normalize) => (h: Tensor, y: Tensor) => normalize(h.add(y.reshape(-1, channels, 1, 1))));
};
