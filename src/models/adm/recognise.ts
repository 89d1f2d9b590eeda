import { ModelError, UsageError } from "../../errors.ts";
import { parameterShapes } from "../../nn/module.ts";
import { asExpected, difference } from "../difference.ts";
import type { Shapes } from "../family.ts";
import { type NetworkConfig, type Pool, usualLowResolution } from "./config.ts";
import { networkOf } from "./network.ts";

/** What a state dict does not tell of its network. */
export interface RecogniseOptions {
  /** Side of the images in pixels; attention pooling tells it. */
  readonly imageSize?: number | undefined;
  /** Heads by their number or width. */
  readonly numHeads?: number | undefined;
  /** Channels of a head, in place of the number of heads. */
  readonly numHeadChannels?: number | undefined;
  /** Whether queries, keys and values are split before the heads (openai/guided-diffusion's `QKVAttention`) or after. */
  readonly useNewAttentionOrder?: boolean | undefined;
  /** Needed only where several numbers give the same tensors. */
  readonly numResBlocks?: number | undefined;
}

/** Are these the tensors of a classifier? It has no upward half. */
export const isClassifier = (found: Shapes): boolean =>
  !Object.keys(found).some((name) => name.startsWith("output_blocks."));

const countDifferences = (found: Shapes, expected: Shapes): number =>
  Object.keys({ ...found, ...expected }).filter((name) => String(found[name]) !== String(expected[name])).length;

/**
 * The configuration of a network from the shapes of its tensors, named as in openai/guided-diffusion. Of several kinds of network
 * with equal tensors, images have 1 or 3 channels: twice as many that come in are an upsampler's.
 *
 * @throws ModelError where the tensors are no network's (it names the first that does not fit the nearest one)
 * @throws UsageError where they leave open what `options` does not give
 */
export function recognise(found: Shapes, options: RecogniseOptions = {}): NetworkConfig {
  const possible = candidates(found, options).map((network) => {
    const shapes = parameterShapes(networkOf(network));
    return { network, shapes, wrong: countDifferences(asExpected(found, shapes), shapes) };
  });
  const [best, next] = possible.toSorted((a, b) => a.wrong - b.wrong);
  if (!best) throw new ModelError("the tensors are of no network of the ADM family: the number of blocks fits none");
  if (best.wrong > 0) throw new ModelError(difference(asExpected(found, best.shapes), best.shapes)!);
  if (next?.wrong === 0) {
    const counts = possible.filter(({ wrong }) => wrong === 0).map(({ network }) => network.config.numResBlocks);
    throw new UsageError(
      `the tensors fit networks of ${counts.join(" or ")} residual blocks at each resolution; give --${isClassifier(found) ? "classifier_depth" : "num_res_blocks"}`,
    );
  }
  return best.network;
}

const has = (found: Shapes, name: string): boolean => Object.hasOwn(found, name);

/** The size of a tensor along an axis. */
function axisOf(found: Shapes, name: string, index: number): number {
  const size = (has(found, name) ? found[name] : undefined)?.[index];
  if (size === undefined || size < 1)
    throw new ModelError(`tensor "${name}" is missing or has too few axes; expected a network of the ADM family`);
  return size;
}

/** Networks, one for each number of residual blocks that the number of blocks allows. */
function candidates(found: Shapes, options: RecogniseOptions): NetworkConfig[] {
  const indices = Object.keys(found).flatMap((name) => /^input_blocks\.(\d{1,4})\./.exec(name)?.[1] ?? []);
  const count = indices.reduce((most, index) => Math.max(most, Number(index) + 1), 0);
  const shared = sharedConfig(found, options);
  const blockCounts = Array.from({ length: Math.max(count - 1, 0) }, (_, i) => i + 1).filter(
    (n) => count % (n + 1) === 0 && (options.numResBlocks ?? n) === n,
  );
  return blockCounts.flatMap((numResBlocks) => {
    const levels = levelsConfig(found, { numResBlocks, levels: count / (numResBlocks + 1) }, shared.modelChannels);
    if (!levels) return [];
    const imageSize = imageSizeOf(found, 2 ** (levels.channelMult.length - 1)) ?? options.imageSize;
    return [networkOfKind(found, { ...shared, ...levels, imageSize: imageSize ?? missingSize(upsamples(found)) })];
  });
}

/** Upsamplers are shown the small image beside the noised one. */
function upsamples(found: Shapes): boolean {
  const seen = axisOf(found, "input_blocks.0.0.weight", 1);
  return !isClassifier(found) && (seen === 2 || seen === 6);
}

/** What does not depend on the number of residual blocks. */
function sharedConfig(found: Shapes, { useNewAttentionOrder = false, numHeads, numHeadChannels }: RecogniseOptions) {
  const modelChannels = axisOf(found, "time_embed.0.weight", 1);
  const seen = axisOf(found, "input_blocks.0.0.weight", 1);
  const embedded = axisOf(found, "input_blocks.1.0.emb_layers.1.weight", 0);
  return {
    inChannels: upsamples(found) ? seen / 2 : seen,
    modelChannels,
    useScaleShiftNorm: embedded === 2 * axisOf(found, "input_blocks.1.0.in_layers.2.weight", 0),
    useNewAttentionOrder,
    ...(numHeads !== undefined && { numHeads }),
    ...(numHeadChannels !== undefined && { numHeadChannels }),
  };
}

/** What each level of resolution is like; undefined where the tensors are not of so many levels. */
function levelsConfig(
  found: Shapes,
  { numResBlocks, levels: count }: { readonly numResBlocks: number; readonly levels: number },
  modelChannels: number,
) {
  const levels = Array.from({ length: count }, (_, level) => level);
  const first = (level: number): number => level * (numResBlocks + 1) + 1; // block 0 is a convolution
  const convolution = (block: number): string => `input_blocks.${block}.0.in_layers.2.weight`;
  if (!levels.every((level) => has(found, convolution(first(level))))) return undefined;
  const channelsOf = (level: number): number =>
    axisOf(found, level === 0 ? "input_blocks.0.0.weight" : convolution(first(level)), 0);
  const down = first(0) + numResBlocks;
  const resblockUpdown = has(found, convolution(down));
  return {
    numResBlocks,
    channelMult: levels.map((level) => multiplier(channelsOf(level), modelChannels)),
    attentionResolutions: levels
      .filter((level) => has(found, `input_blocks.${first(level)}.1.qkv.weight`))
      .map((level) => 2 ** level),
    resblockUpdown,
    convResample: count === 1 || has(found, `input_blocks.${down}.0.op.weight`) || resblockUpdown,
  };
}

type Backbone = ReturnType<typeof sharedConfig> &
  NonNullable<ReturnType<typeof levelsConfig>> & { readonly imageSize: number };

/** The network whose backbone is known. */
function networkOfKind(found: Shapes, backbone: Backbone): NetworkConfig {
  if (isClassifier(found)) {
    const { pool, output } = poolOf(found);
    return { kind: "adm-classifier", config: { ...backbone, pool, outChannels: axisOf(found, output, 0) } };
  }
  const classes = has(found, "label_emb.weight") ? { numClasses: axisOf(found, "label_emb.weight", 0) } : {};
  const config = { ...backbone, ...classes, outChannels: axisOf(found, "out.2.weight", 0) };
  return upsamples(found)
    ? { kind: "adm-super-resolution", config: { ...config, lowResolution: usualLowResolution(config.imageSize) } }
    : { kind: "adm-unet", config };
}

/** A multiplier that gives exactly these channels, also after rounding down. */
function multiplier(channels: number, modelChannels: number): number {
  const ratio = channels / modelChannels;
  return Math.floor(ratio * modelChannels) === channels ? ratio : (channels + 0.5) / modelChannels;
}

const missingSize = (upsamples: boolean): never => {
  throw new UsageError(
    `the tensors don't tell the size of the images; give --${upsamples ? "large" : "image"}_size, --preset or --config`,
  );
};

/** Attention pooling has an embedding for each of the last activations' pixels, and one for their mean. */
function imageSizeOf(found: Shapes, factor: number): number | undefined {
  const positions = found["out.2.positional_embedding"]?.[1];
  return positions === undefined ? undefined : Math.round(Math.sqrt(positions - 1)) * factor;
}

function poolOf(found: Shapes): { pool: Pool; output: string } {
  if (Object.hasOwn(found, "out.2.positional_embedding")) return { pool: "attention", output: "out.2.c_proj.weight" };
  if (found["out.0.weight"]?.length !== 2) return { pool: "adaptive", output: "out.3.weight" };
  return Object.hasOwn(found, "out.3.weight")
    ? { pool: "spatial_v2", output: "out.3.weight" }
    : { pool: "spatial", output: "out.2.weight" };
}
