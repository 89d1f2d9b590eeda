import { ModelError } from "../../errors.ts";
import { type NetworkConfig, type Pool, pools, usualLowResolution } from "./config.ts";

/** Constructor arguments of a network of openai/guided-diffusion, as JSON. */
export interface GuidedDiffusionConfig {
  /** Name of its class. */
  readonly kind: string;
  /** Its arguments by name, as `argparse` or a JSON file gives them. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Kinds of ours by the names of the classes of openai/guided-diffusion. */
export const guidedDiffusionKinds = {
  UNetModel: "adm-unet",
  SuperResModel: "adm-super-resolution",
  EncoderUNetModel: "adm-classifier",
} as const;

/** Arguments that change how it runs or trains, never what it computes from its weights. */
const ignored = ["dropout", "use_checkpoint", "use_fp16"];

/** Arguments of a constructor, read one by one. */
class Arguments {
  readonly #given: GuidedDiffusionConfig["config"];
  readonly #read = new Set(ignored);
  constructor(given: GuidedDiffusionConfig["config"]) {
    this.#given = given;
  }

  /** The argument where it passes the test, `fallback` where it is absent; no fallback: it must be there. */
  field<T>(name: string, what: string, accepts: (value: unknown) => value is T, fallback?: T): T {
    this.#read.add(name);
    const value = this.#given[name] ?? fallback;
    if (value === undefined) throw new ModelError(`network config: "${name}" (${what}) is missing`);
    if (!accepts(value))
      throw new ModelError(`network config: "${name}" must be ${what} but is ${JSON.stringify(value)}`);
    return value;
  }

  count(name: string, fallback?: number): number {
    return this.field(name, "a positive integer", isCount, fallback);
  }

  flag(name: string, fallback: boolean): boolean {
    return this.field(name, "true or false", isFlag, fallback);
  }

  /** The argument as our field, or nothing where it is -1 or null, which stand for "not given". */
  optional<Name extends string>(ours: Name, name: string): { readonly [N in Name]?: number } {
    const value = this.field(name, "a positive integer, or -1 for none", isCountOrNone, -1);
    return (value === -1 ? {} : { [ours]: value }) as { readonly [N in Name]?: number };
  }

  /** Names of those that nobody read. */
  unknown(): string[] {
    return Object.keys(this.#given).filter((name) => !this.#read.has(name));
  }
}

/**
 * Our configuration of a network that a constructor of openai/guided-diffusion makes of `{ kind, config }`, with its defaults.
 * Throws ModelError for an unknown kind, an unknown or missing argument, or one of the wrong type.
 */
export function configFromGuidedDiffusion({ kind, config }: GuidedDiffusionConfig): NetworkConfig {
  if (!Object.hasOwn(guidedDiffusionKinds, kind))
    throw new ModelError(
      `network config: kind must be one of ${Object.keys(guidedDiffusionKinds).join(", ")} but is "${kind}"`,
    );
  const given = new Arguments(config);
  const result = configOf(guidedDiffusionKinds[kind as keyof typeof guidedDiffusionKinds], given);
  const unknown = given.unknown();
  if (unknown.length > 0) throw new ModelError(`network config: ${kind} has no argument "${unknown.join('", "')}"`);
  return result;
}

function configOf(kind: NetworkConfig["kind"], given: Arguments): NetworkConfig {
  const backbone = {
    imageSize: given.count("image_size"),
    inChannels: given.count("in_channels"),
    outChannels: given.count("out_channels"),
    modelChannels: given.count("model_channels"),
    numResBlocks: given.count("num_res_blocks"),
    // 0 is what openai/guided-diffusion gets of dividing by a resolution above the image's: no attention.
    attentionResolutions: given
      .field("attention_resolutions", "a list of integers", isListOf(isInteger))
      .filter((factor) => factor > 0),
    channelMult: given.field("channel_mult", "a list of positive numbers, not empty", isMultipliers, [1, 2, 4, 8]),
    numHeads: given.count("num_heads", 1),
    ...given.optional("numHeadChannels", "num_head_channels"),
    useScaleShiftNorm: given.flag("use_scale_shift_norm", false),
    resblockUpdown: given.flag("resblock_updown", false),
    convResample: given.flag("conv_resample", true),
    useNewAttentionOrder: given.flag("use_new_attention_order", false),
  };
  given.field("dims", "2 (images)", (value): value is 2 => value === 2, 2);
  const upward = given.optional("numHeadsUpsample", "num_heads_upsample"); // classifiers have no upward half and ignore it
  if (kind === "adm-classifier")
    return {
      kind,
      config: { ...backbone, pool: given.field("pool", `one of ${pools.join(", ")}`, isPool, "adaptive") },
    };
  const denoiser = { ...backbone, ...upward, ...given.optional("numClasses", "num_classes") };
  if (kind === "adm-unet") return { kind, config: denoiser };
  return { kind, config: { ...denoiser, lowResolution: usualLowResolution(backbone.imageSize) } };
}

const isPositive = (value: unknown): value is number =>
  typeof value === "number" && value > 0 && Number.isFinite(value);
const isCount = (value: unknown): value is number => isPositive(value) && Number.isInteger(value);
const isInteger = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
const isCountOrNone = (value: unknown): value is number => value === -1 || isCount(value);
const isFlag = (value: unknown): value is boolean => typeof value === "boolean";
const isPool = (value: unknown): value is Pool => (pools as readonly unknown[]).includes(value);
const isListOf =
  <T>(accepts: (value: unknown) => value is T) =>
  (value: unknown): value is T[] =>
    Array.isArray(value) && value.every(accepts);
const isMultipliers = (value: unknown): value is number[] => isListOf(isPositive)(value) && value.length > 0;
