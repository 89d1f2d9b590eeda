import * as z from "zod";
import type { BackboneConfig } from "./config.ts";

/** A size or a number of things. */
export const count = z.int().min(1).max(65536);
const fraction = z.number().positive().max(64);

/** Fields of every config of the ADM family. */
export const backboneFields = {
  imageSize: count,
  imageWidth: count.optional(),
  patchSize: z.int().min(1).max(64).optional(),
  inChannels: count,
  outChannels: count,
  modelChannels: count,
  numResBlocks: z.int().min(1).max(64),
  attentionResolutions: z.array(count).max(16).readonly(),
  channelMult: z.array(fraction).min(1).max(16).readonly(),
  numHeads: count.optional(),
  numHeadChannels: count.optional(),
  useScaleShiftNorm: z.boolean().optional(),
  resblockUpdown: z.boolean().optional(),
  convResample: z.boolean().optional(),
  useNewAttentionOrder: z.boolean().optional(),
  normGroups: count.optional(),
} satisfies Record<keyof BackboneConfig, z.ZodType>;

/** Fields of the configs of denoisers. */
export const unetFields = {
  ...backboneFields,
  numClasses: count.optional(),
  nullLabel: z.boolean().optional(),
  augmentSize: count.optional(),
  numHeadsUpsample: count.optional(),
  maxCfgScale: z.number().gt(1).max(1000).optional(),
};
