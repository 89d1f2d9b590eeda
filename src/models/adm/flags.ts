import { ModelError, UsageError } from "../../errors.ts";
import type { Shapes } from "../family.ts";
import { type BackboneConfig, type NetworkConfig, type Pool, usualLowResolution } from "./config.ts";
import { isClassifier, recognise } from "./recognise.ts";

/**
 * What a command line of openai/guided-diffusion says of networks, under its own names; -1 and empty lists stand for "not given".
 * It may describe a denoiser and a classifier at once.
 */
export type Flags = {
  readonly [N in (typeof numberFlags)[number]]?: number | undefined;
} & { readonly [N in (typeof listFlags)[number]]?: readonly number[] | undefined } & {
  readonly [N in (typeof truthFlags)[number]]?: boolean | undefined;
} & {
  readonly classifier_pool?: Pool | undefined;
  /** Of the reverse process: learned ones take more channels of the output. */
  readonly variance?: string | undefined;
  /** These two only tell that a classifier is described too. */
  readonly classifier_scale?: string | undefined;
  readonly classifier_path?: string | undefined;
  readonly classifier_use_fp16?: string | undefined;
};
const numberFlags = [
  "image_size",
  "large_size",
  "small_size",
  "num_classes",
  "num_channels",
  "num_res_blocks",
  "num_heads",
  "num_heads_upsample",
  "num_head_channels",
  "classifier_width",
  "classifier_depth",
] as const;
const listFlags = ["attention_resolutions", "channel_mult", "classifier_attention_resolutions"] as const;
const truthFlags = [
  "class_cond",
  "learn_sigma",
  "use_scale_shift_norm",
  "resblock_updown",
  "use_new_attention_order",
  "classifier_use_scale_shift_norm",
  "classifier_resblock_updown",
] as const;

/** Flags that describe networks of the ADM family and of no other. */
export const networkFlags = [
  ...numberFlags,
  ...listFlags,
  ...truthFlags.filter((name) => name !== "learn_sigma"),
  "classifier_pool",
] as const;

/** Options that both kinds of network have, each under its name for classifiers. */
const twins = {
  num_channels: "classifier_width",
  num_res_blocks: "classifier_depth",
  attention_resolutions: "classifier_attention_resolutions",
  use_scale_shift_norm: "classifier_use_scale_shift_norm",
  resblock_updown: "classifier_resblock_updown",
} as const;
const twinPairs = Object.entries(twins) as [keyof typeof twins, (typeof twins)[keyof typeof twins]][];

/** Options of which one is enough to tell that a command line describes a denoiser and a classifier. */
const signsOfBoth = [
  "class_cond",
  "learn_sigma",
  "classifier_scale",
  "classifier_path",
  "classifier_use_fp16",
] as const satisfies (keyof Flags)[];
const describesBoth = (values: Flags): boolean =>
  signsOfBoth.some((name) => values[name] !== undefined) ||
  twinPairs.some(([name, twin]) => values[name] !== undefined && values[twin] !== undefined);

/** Options about the inside of a network, of which a classifier takes none from a command line that describes both. */
const ofInside = [
  ...twinPairs.map(([name]) => name),
  "num_heads",
  "num_heads_upsample",
  "num_head_channels",
  "channel_mult",
  "use_new_attention_order",
] as const satisfies (keyof Flags)[];

/**
 * The network that flags, tensors and a description of it make together. Nothing here holds the network to the tensors.
 *
 * @param given the network that the flags may change; without it, it is recognised from the tensors' shapes
 * @param note told where a default of openai/guided-diffusion was taken that the tensors cannot confirm
 * @throws ModelError where the tensors are no network's, or contradict the flags; UsageError where flags are needed
 */
export function networkOfFlags(
  values: Flags,
  shapes: Shapes,
  given: NetworkConfig | undefined,
  note: (text: string) => void,
): NetworkConfig {
  const classifies = given ? given.kind === "adm-classifier" : isClassifier(shapes);
  const besideDenoiser = classifies && describesBoth(values);
  const said = withoutEmpty(values);
  const flags = flagsOf(said, { classifies, besideDenoiser });
  const dropped = besideDenoiser ? ofInside.filter((name) => said[name] !== undefined) : [];
  if (dropped.length > 0)
    note(
      `the command line describes a denoiser too, and --${dropped.join(", --")} ${dropped.length > 1 ? "are" : "is"} about that alone; --config or classifier_ options describe the classifier`,
    );
  if (given) return override(given, flags, note);
  const described = flags.num_channels !== undefined || flags.num_res_blocks !== undefined || besideDenoiser;
  const heads = headsOf(flags, { classifies, described, besideDenoiser }, note);
  const network = recognise(shapes, {
    ...heads,
    useNewAttentionOrder: flags.use_new_attention_order,
    imageSize: flags.image_size ?? flags.large_size,
    numResBlocks: flags.num_res_blocks,
  });
  checkClasses(network, flags);
  if (flags.use_new_attention_order === undefined && !besideDenoiser)
    note(
      "attention has its projections in the older order, as openai/guided-diffusion by default; --use_new_attention_order True says otherwise",
    );
  const channels = network.config.inChannels;
  if (network.kind === "adm-super-resolution" && (flags.large_size ?? flags.small_size) === undefined)
    note(
      `${2 * channels} channels come in, so it is taken for an upsampler of images of ${channels}; --config says otherwise`,
    );
  return override(network, flags, note);
}

/** Without what is left out in the way of openai/guided-diffusion: --num_head_channels -1, --channel_mult "". */
const withoutEmpty = (values: Flags): Flags =>
  Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== -1 && !(Array.isArray(value) && value.length === 0)),
  );

/**
 * The flags that are about a network of this kind. A command line may describe denoiser and classifier at once; what
 * it says of the denoiser is nothing to the classifier then.
 */
function flagsOf(
  values: Flags,
  { classifies, besideDenoiser }: { classifies: boolean; besideDenoiser: boolean },
): Flags {
  if (!classifies) return values;
  const { image_size, num_classes, classifier_pool } = values;
  const own = Object.fromEntries(twinPairs.map(([name, twin]) => [name, values[twin]]));
  return { ...(besideDenoiser ? { image_size, num_classes, classifier_pool } : values), ...defined(own) };
}

/** Attention heads from flags; those of openai/guided-diffusion where the network is described without them, as its command lines do. */
function headsOf(
  { num_heads, num_head_channels }: Flags,
  { classifies, described, besideDenoiser }: { classifies: boolean; described: boolean; besideDenoiser: boolean },
  note: (text: string) => void,
) {
  if (num_heads !== undefined || num_head_channels !== undefined)
    return { numHeads: num_heads, numHeadChannels: num_head_channels };
  if (!described)
    throw new UsageError(
      "the tensors don't tell the attention heads; give --num_heads or --num_head_channels, or the whole network by --preset or --config",
    );
  note(
    `attention has ${classifies ? "heads of 64 channels" : "4 heads"}, as in openai/guided-diffusion; ${besideDenoiser ? "--config" : "--num_heads or --num_head_channels"} says otherwise`,
  );
  return classifies ? { numHeadChannels: 64 } : { numHeads: 4 };
}

/** Throws ModelError where flags say other classes than the tensors. */
function checkClasses(network: NetworkConfig, { class_cond, num_classes }: Flags): void {
  const classes = network.kind === "adm-classifier" ? network.config.outChannels : network.config.numClasses;
  const has = `the tensors are of ${network.kind} with ${classes ?? "no"} classes`;
  if (network.kind !== "adm-classifier" && class_cond !== undefined && class_cond !== (classes !== undefined))
    throw new ModelError(`--class_cond is ${class_cond ? "True" : "False"} but ${has}`);
  if (num_classes !== undefined && classes !== undefined && num_classes !== classes)
    throw new ModelError(`--num_classes is ${num_classes} but ${has}`);
}

/** A network with what the flags say. */
function override(network: NetworkConfig, flags: Flags, note: (text: string) => void): NetworkConfig {
  const { num_heads, num_head_channels, num_classes, class_cond } = flags;
  const imageSize = flags.image_size ?? flags.large_size ?? network.config.imageSize;
  const backbone = {
    imageSize,
    ...defined({
      modelChannels: flags.num_channels,
      numResBlocks: flags.num_res_blocks,
      numHeads: num_heads,
      numHeadChannels: num_head_channels,
      // A side above the images' gives 0, which is no resolution.
      attentionResolutions: flags.attention_resolutions
        ?.map((side) => Math.floor(imageSize / side))
        .filter((factor) => factor > 0),
      channelMult: flags.channel_mult,
      useScaleShiftNorm: flags.use_scale_shift_norm,
      resblockUpdown: flags.resblock_updown,
      useNewAttentionOrder: flags.use_new_attention_order,
    }),
  };
  /** A number of heads replaces their width. */
  const withHeads = <C extends BackboneConfig>({ numHeadChannels, ...config }: C) =>
    num_heads !== undefined || numHeadChannels === undefined ? config : { ...config, numHeadChannels };

  if (network.kind === "adm-classifier") {
    const own = defined({ pool: flags.classifier_pool, outChannels: num_classes });
    return { kind: network.kind, config: { ...withHeads(network.config), ...backbone, ...own } };
  }
  const { numClasses, ...config } = withHeads(network.config);
  const told = class_cond ?? numClasses !== undefined;
  const learned = flags.variance ? flags.variance.startsWith("learned") : flags.learn_sigma;
  const own = defined({
    numHeadsUpsample: flags.num_heads_upsample,
    numClasses: told ? (num_classes ?? numClasses ?? 1000) : undefined,
    outChannels: learned === undefined ? undefined : (learned ? 2 : 1) * config.inChannels,
  });
  if (network.kind === "adm-unet") return { kind: network.kind, config: { ...config, ...backbone, ...own } };
  const lowResolution = flags.small_size ?? usualLowResolution(imageSize);
  if (flags.small_size === undefined)
    note(
      `it enlarges pictures of ${lowResolution}x${lowResolution}, a quarter of its own side as the published ones do; --small_size says otherwise`,
    );
  return { kind: network.kind, config: { ...config, ...backbone, ...own, lowResolution } };
}

const defined = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
