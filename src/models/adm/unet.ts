import { ShapeError, UsageError } from "../../errors.ts";
import { groupNorm } from "../../nn/group-norm.ts";
import { conv2d, embedding, linearMap, sequential, silu } from "../../nn/layers.ts";
import { type Module, module, zeroInit } from "../../nn/module.ts";
import { convUpsample, double } from "../../nn/resample.ts";
import { scaleEmbedding } from "../../nn/scale-embedding.ts";
import { depthToSpace, spaceToDepth } from "../../nn/space-to-depth.ts";
import { concat } from "../../tensor/functions.ts";
import type { Labels, Tensor } from "../../tensor/tensor.ts";
import type { DenoiserInputs } from "../family.ts";
import type { UNetConfig } from "./config.ts";
import { type Block, blocks, encoder, levelChannels } from "./encoder.ts";

/** Rows of the label embedding: the classes, and the null label last. */
export const labelCount = ({ numClasses, nullLabel = false }: UNetConfig): number | undefined =>
  numClasses === undefined ? undefined : numClasses + (nullLabel ? 1 : 0);

/**
 * The ADM UNet (Dhariwal & Nichol 2021): x [N, C, H, W], t float32 [N], label [N] where class-conditional and
 * guidanceScale [N] where it is told one, to [N, outChannels, H, W]. Its parameters are named as in openai/guided-diffusion.
 *
 * Applying it throws UsageError where labels are missing or not wanted, ShapeError where height or width cannot be halved as
 * often as the configuration asks. Making it throws ModelError where attention heads do not divide the channels.
 */
export function unet(config: UNetConfig): Module<[x: Tensor, t: Tensor, given?: DenoiserInputs]> {
  const { modelChannels, outChannels, numResBlocks, attentionResolutions, channelMult } = config;
  const { numHeadsUpsample, augmentSize, normGroups = 32, patchSize = 1 } = config;
  const { resblockUpdown = true, convResample = true } = config;
  const { residual, attention } = blocks(config);
  const labels = labelCount(config);
  const down = encoder(config);

  let { channels, factor } = down;
  const skips = [...down.skips];
  const outputBlocks: Block[][] = [];
  for (let level = channelMult.length - 1; level >= 0; level--) {
    for (let i = 0; i <= numResBlocks; i++) {
      const layers: Block[] = [residual(channels + skips.pop()!, levelChannels(config, level))];
      channels = levelChannels(config, level);
      if (attentionResolutions.includes(factor)) layers.push(attention(channels, numHeadsUpsample));
      if (level > 0 && i === numResBlocks) {
        layers.push(
          resblockUpdown ? residual(channels, channels, "up") : convResample ? convUpsample(channels) : double,
        );
        factor /= 2;
      }
      outputBlocks.push(layers);
    }
  }

  const { time_embed, input_blocks, middle_block } = down.children;
  const children = {
    time_embed,
    label_emb: labels === undefined ? undefined : embedding(labels, 4 * modelChannels),
    cfg_embed: config.maxCfgScale === undefined ? undefined : scaleEmbedding(modelChannels, 4 * modelChannels),
    augment_emb: augmentSize === undefined ? undefined : zeroInit(linearMap(augmentSize, 4 * modelChannels)),
    input_blocks,
    middle_block,
    output_blocks: outputBlocks,
    out: [groupNorm(channels, normGroups), silu, zeroInit(conv2d(channels, outChannels * patchSize ** 2, 3))],
  };
  return module(children, (self, x: Tensor, t: Tensor, { label, guidanceScale, augment }: DenoiserInputs = {}) => {
    checkInputs(x, label, down.factor, config);
    if (self.cfg_embed && !guidanceScale)
      throw new UsageError("unet: this network is told the scale of guidance; give guidanceScale, float32 [N]");
    const moment = self.time_embed(t);
    const changed = self.augment_emb && augment ? moment.add(self.augment_emb(augment)) : moment;
    const time = self.cfg_embed && guidanceScale ? changed.add(self.cfg_embed(guidanceScale)) : changed;
    const emb = self.label_emb && label ? time.add(self.label_emb(label)) : time; // [N, 4 modelChannels]
    let h = spaceToDepth(x, patchSize);
    const kept: Tensor[] = [];
    for (const layers of self.input_blocks) {
      h = sequential(layers, h, emb);
      kept.push(h);
    }
    h = sequential(self.middle_block, h, emb);
    for (const layers of self.output_blocks) h = sequential(layers, concat([h, kept.pop()!], 1), emb);
    return depthToSpace(sequential(self.out, h, emb), patchSize);
  });
}

function checkInputs(
  x: Tensor,
  label: Labels | undefined,
  factor: number,
  { numClasses, patchSize = 1 }: UNetConfig,
): void {
  if (label === undefined && numClasses !== undefined)
    throw new UsageError(`unet: this network is told one of ${numClasses} classes; give their label, int32 [N]`);
  if (label !== undefined && numClasses === undefined)
    throw new UsageError("unet: this network knows no classes; leave label out");
  const [, , h, w] = x.shape;
  const patches = patchSize > 1 ? `cut into patches of ${patchSize}x${patchSize} and ` : "";
  if (x.rank !== 4 || h! % factor !== 0 || w! % factor !== 0)
    throw new ShapeError(
      `unet: x must be [N, C, H, W] with H and W divisible by ${factor}, for they are ${patches}halved ${Math.log2(factor / patchSize)} times, but is [${x.shape.join(", ")}]`,
    );
}
