import { ModelError, ShapeError, UsageError } from "../../errors.ts";
import { embedding, linear, linearMap, silu } from "../../nn/layers.ts";
import { type Module, module, zeroInit } from "../../nn/module.ts";
import { type Grid, sinePositions } from "../../nn/positions.ts";
import { scaleEmbedding } from "../../nn/scale-embedding.ts";
import { depthToSpace, spaceToDepth } from "../../nn/space-to-depth.ts";
import { timestepEmbedding } from "../../nn/timestep-embedding.ts";
import type { Labels, Tensor } from "../../tensor/tensor.ts";
import type { DenoiserInputs } from "../family.ts";
import { modulate, modulation, onTokens, transformerBlock } from "./block.ts";
import type { PixelTransformerConfig } from "./config.ts";

/** Sines and cosines that a timestep is told by. */
const timestepWidth = 256;

/** Learned embedding of the timestep: float32 [N] -> [N, width]. */
const timestepEmbedder = (width: number) =>
  module({ mlp: { 0: linear(timestepWidth, width), 2: linear(width, width) } }, ({ mlp }, t: Tensor) =>
    mlp[2](silu(mlp[0](timestepEmbedding(t, timestepWidth)))),
  );

/** From tokens to the numbers of their patches. It starts at zero. [N, T, width] -> [N, T, outputs]. */
const finalLayer = (width: number, outputs: number) =>
  module(
    { linear: zeroInit(linear(width, outputs)), adaLN_modulation: modulation(width, 2) },
    ({ linear, adaLN_modulation }, x: Tensor, emb: Tensor) => {
      const [shift, scale] = adaLN_modulation(emb) as [Tensor, Tensor];
      return onTokens(linear, modulate(x, scale, shift));
    },
  );

/** [N, C, H, W] -> a token for every pixel, row by row, [N, H W, C]. */
const tokensOf = (x: Tensor): Tensor => {
  const [n, channels, h, w] = x.shape as [number, number, number, number];
  return x.reshape(n, channels, h * w).transpose();
};

/**
 * A diffusion transformer (Peebles & Xie 2023, "DiT") on patches of pixels, as Li & He 2025 ("Just image transformers", JiT) have it: x
 * [N, C, H, W], t float32 [N], and label [N] where class-conditional, to [N, outChannels, H, W]. Tokens know their place by sines and by
 * rotary positions, timestep and class by adaptive layer normalisation. It predicts what the process says; for large patches JiT
 * advises x0 with the loss of the velocity.
 *
 * Its parameters are named as in the programs of both papers. Its output starts at zero.
 *
 * Applying it throws UsageError where labels are missing or not wanted, ShapeError where the image cannot be cut into patches. Making it
 * throws ModelError where heads do not divide the tokens.
 */
export function pixelTransformer(
  config: PixelTransformerConfig,
): Module<[x: Tensor, t: Tensor, given?: DenoiserInputs]> {
  const { inChannels, outChannels, patchSize, hiddenSize, depth, numHeads, numClasses } = config;
  const { nullLabel = false, augmentSize } = config;
  if (hiddenSize % (4 * numHeads) !== 0)
    throw new ModelError(
      `pixelTransformer: hiddenSize ${hiddenSize} does not divide into ${numHeads} heads of a multiple of 4; choose another number of heads`,
    );
  const { maxCfgScale } = config;
  const labels = numClasses === undefined ? undefined : numClasses + (nullLabel ? 1 : 0);
  const children = {
    x_embedder: { proj: linear(inChannels * patchSize ** 2, hiddenSize) },
    t_embedder: timestepEmbedder(hiddenSize),
    cfg_embedder: maxCfgScale === undefined ? undefined : scaleEmbedding(timestepWidth, hiddenSize),
    y_embedder: labels === undefined ? undefined : { embedding_table: embedding(labels, hiddenSize) },
    a_embedder: augmentSize === undefined ? undefined : zeroInit(linearMap(augmentSize, hiddenSize)),
    blocks: Array.from({ length: depth }, () => transformerBlock(config)),
    final_layer: finalLayer(hiddenSize, outChannels * patchSize ** 2),
  };
  return module(children, (self, x: Tensor, t: Tensor, { label, guidanceScale, augment }: DenoiserInputs = {}) => {
    checkInputs(x, label, config);
    if (self.cfg_embedder && !guidanceScale)
      throw new UsageError("pixelTransformer: this network is told the scale of guidance; give guidanceScale, [N]");
    const moment = self.t_embedder(t);
    const changed = self.a_embedder && augment ? moment.add(self.a_embedder(augment)) : moment;
    const time = self.cfg_embedder && guidanceScale ? changed.add(self.cfg_embedder(guidanceScale)) : changed;
    const emb = self.y_embedder && label ? time.add(self.y_embedder.embedding_table(label)) : time; // [N, width]
    const patches = spaceToDepth(x, patchSize);
    const [n, , ...grid] = patches.shape as [number, number, ...Grid];
    let h = onTokens(self.x_embedder.proj, tokensOf(patches)).add(sinePositions(grid, hiddenSize));
    for (const block of self.blocks) h = block(h, emb, grid);
    return depthToSpace(
      self
        .final_layer(h, emb)
        .transpose()
        .reshape(n, -1, ...grid),
      patchSize,
    );
  });
}

function checkInputs(x: Tensor, label: Labels | undefined, { numClasses, patchSize }: PixelTransformerConfig): void {
  if (label === undefined && numClasses !== undefined)
    throw new UsageError(
      `pixelTransformer: this network is told one of ${numClasses} classes; give their label, int32 [N]`,
    );
  if (label !== undefined && numClasses === undefined)
    throw new UsageError("pixelTransformer: this network knows no classes; leave label out");
  const [, , h, w] = x.shape;
  if (x.rank !== 4 || h! % patchSize !== 0 || w! % patchSize !== 0)
    throw new ShapeError(
      `pixelTransformer: x must be [N, C, H, W] with H and W divisible by ${patchSize}, the side of patches, but is [${x.shape.join(", ")}]`,
    );
}
