import * as z from "zod";
import { groupNorm } from "../../nn/group-norm.ts";
import { conv2d, identity, linear, silu } from "../../nn/layers.ts";
import { module, zeroInit } from "../../nn/module.ts";
import { halve } from "../../nn/resample.ts";
import { spaceToDepth } from "../../nn/space-to-depth.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ConfigSchema, DataShape, ImageShape } from "../family.ts";
import type { FeaturesFamily, FeaturesNetwork } from "./family.ts";

/** Sizes of a network that sees features in images. */
export interface ResidualFeaturesConfig {
  /** [C, H, W] of the images. */
  readonly imageShape: ImageShape;
  /** Number of classes. */
  readonly classes: number;
  /** Side of the blocks of pixels that the first layer takes as channels of one (space to depth). */
  readonly patch: number;
  /** Channels of each stage; height and width are halved between stages. The last is the width D of the features. */
  readonly widths: readonly number[];
  /** Residual blocks of each stage. */
  readonly blocks: number;
}

const count = (most: number) => z.int().min(1).max(most);
const schema: ConfigSchema<ResidualFeaturesConfig> = z.strictObject({
  imageShape: z.tuple([count(4), count(1024), count(1024)]).readonly(),
  classes: count(65536),
  patch: count(64),
  widths: z.array(count(2048)).min(1).max(6).readonly(),
  blocks: count(32),
});

const GROUPS = 8;
/** Numbers that spatial features have at most: their covariance is S x S. */
const MOST_SPATIAL = 256;

/** x + conv(silu(norm(conv(silu(norm(x)))))), He et al. 2016b; with a linear map of x where the channels change. */
const block = (inputs: number, outputs: number) =>
  module(
    {
      norm1: groupNorm(inputs, GROUPS),
      conv1: conv2d(inputs, outputs, 3),
      norm2: groupNorm(outputs, GROUPS),
      conv2: zeroInit(conv2d(outputs, outputs, 3)),
      skip: inputs === outputs ? identity : conv2d(inputs, outputs, 1),
    },
    ({ norm1, conv1, norm2, conv2, skip }, x: Tensor) => skip(x).add(conv2(silu(norm2(conv1(silu(norm1(x))))))),
  );

/** Zeros to the right and below, so that a factor divides the sides of x [N, C, H, W]. */
function filled(x: Tensor, factor: number): Tensor {
  const [, , h, w] = x.shape as [number, number, number, number];
  const missing = (side: number): number => Math.ceil(side / factor) * factor - side;
  return missing(h) + missing(w) === 0 ? x : x.pad([0, 0, 0, 0], [0, 0, missing(h), missing(w)]);
}

/**
 * A small residual network that tells classes of clean images apart, for the features that it sees. Each image is normalised by itself
 * (Wu & He 2018), so that its features do not depend on the others of its batch.
 */
function build({ imageShape, classes, patch, widths, blocks }: ResidualFeaturesConfig): FeaturesNetwork {
  const [channels, height, width] = imageShape;
  const last = widths.at(-1)!;
  const stages = widths.map((outputs, i) =>
    Array.from({ length: blocks }, (_, n) => block(n > 0 ? outputs : widths[Math.max(0, i - 1)]!, outputs)),
  );
  // Where the sides of the images are odd or few pixels long, there is nothing to halve.
  const side = Math.ceil(Math.min(height, width) / patch);
  const halved = (stage: number): boolean => stage > 0 && Math.floor(side / 2 ** stage) >= 1;
  return module(
    {
      stem: conv2d(channels * patch ** 2, widths[0]!, 3),
      stages,
      norm: groupNorm(last, GROUPS),
      head: linear(last, classes),
    },
    ({ stem, stages, norm, head }, x: Tensor) => {
      let h = stem(spaceToDepth(filled(x, patch), patch));
      let spatial = h;
      for (const [i, stage] of stages.entries()) {
        if (halved(i)) h = halve(h);
        for (const each of stage) h = each(h);
        if (i <= 1) spatial = h;
      }
      const features = silu(norm(h)).mean([2, 3]);
      const area = spatial.shape[2]! * spatial.shape[3]!;
      const kept = Math.max(1, Math.min(spatial.shape[1]!, Math.floor(MOST_SPATIAL / area)));
      return { logits: head(features), features, spatial: spatial.slice(1, 0, kept) };
    },
  );
}

/** A config for images and classes: the first stage sees about 16 x 16 places, so that training takes minutes on a few cores. */
const preset =
  (widths: readonly number[]) =>
  ({ imageShape, classes }: DataShape): ResidualFeaturesConfig => ({
    imageShape,
    classes,
    patch: Math.max(1, Math.round(Math.min(imageShape[1], imageShape[2]) / 16)),
    widths,
    blocks: 1,
  });

/** Small residual networks for clean images, see `build`. */
export const residualFeatures = {
  kind: "residual-features",
  schema,
  signature: ({ imageShape, classes }) => ({ imageShape, classes }),
  build,
  presets: { small: preset([32, 64, 128]), base: preset([48, 96, 192]) },
} satisfies FeaturesFamily<ResidualFeaturesConfig>;
