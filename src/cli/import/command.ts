import { UsageError } from "../../errors.ts";
import { pools } from "../../models/adm/config.ts";
import { publishedNetworks } from "../../models/adm/published.ts";
import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, custom, type Option, text, toggle, whole, withEarlier } from "../terminal/option.ts";

const truths: Readonly<Record<string, boolean>> = {
  ...{ true: true, t: true, yes: true, y: true, "1": true },
  ...{ false: false, f: false, no: false, n: false, "0": false },
};
const truth = (help: string) =>
  custom("True|False", help, (value, flag): boolean | undefined => {
    const found = truths[value.toLowerCase()];
    if (found === undefined) throw new UsageError(`${flag} must be True or False but is "${value}"`);
    return found;
  });

/** Positive numbers; where it may be empty, that stands for "not given". */
const numbers = (help: string, { mayBeEmpty = false } = {}) =>
  custom("n,n,...", help, (value, flag): readonly number[] | undefined => {
    if (mayBeEmpty && value.trim() === "") return [];
    const found = value.split(",").map(Number);
    if (value.trim() === "" || !found.every((n) => n > 0 && Number.isFinite(n)))
      throw new UsageError(`${flag} must be positive numbers with commas between, such as 32,16,8, but is "${value}"`);
    return found;
  });

/** A whole number, or -1, which stands for "not given". */
const wholeOrNone = (help: string) =>
  custom("n", help, (value, flag): number | undefined => {
    const found = Number(value);
    if (found === -1 || (Number.isSafeInteger(found) && found > 0)) return found;
    throw new UsageError(`${flag} must be a whole number of at least 1, or -1 for none, but is "${value}"`);
  });

export const presetNames = Object.keys(publishedNetworks) as (keyof typeof publishedNetworks)[];
/** A name of a published network; a list of all would be the widest thing in the help. */
const preset = (value: string, flag: string): keyof typeof publishedNetworks | undefined => {
  const found = presetNames.find((name) => name === value);
  if (found === undefined) throw new UsageError(`${flag} must be one of ${presetNames.join(", ")} but is "${value}"`);
  return found;
};

/** Flags of openai/guided-diffusion's scripts that change how a network runs, trains or samples, never what its weights are. */
export const flagsOfNoEffect = [
  "dropout",
  "use_checkpoint",
  "use_fp16",
  "classifier_use_fp16",
  "use_kl",
  "rescale_learned_sigmas",
  "timestep_respacing",
  "use_ddim",
  "clip_denoised",
  "classifier_scale",
  "batch_size",
  "num_samples",
  "base_samples",
  "model_path",
  "classifier_path",
] as const;
const ofNoEffect = Object.fromEntries(
  flagsOfNoEffect.map((name) => [name, text("value", "accepted; weights don't depend on it")]),
) as Record<(typeof flagsOfNoEffect)[number], Option<string | undefined>>;

/** Options from `image_size` on are called as in openai/guided-diffusion, so that its command lines serve. */
const options = {
  out: text("dir", "the model folder; a network of the other kind that is there stays", { required: true }),
  config: text("config.json", "the network: { kind, config }, a constructor's arguments or a family's"),
  preset: custom("name", "the network and its noise, as published; names are below", preset),
  classes: text("file", "names of the classes, one on each line", { otherwise: "0, 1, 2 ..." }),
  entry: text("name", "the network, of a checkpoint that holds several: model, ema ..."),
  float16: toggle("keep weights as float16: half the size"),
  replace: toggle("replace a trained network that is there"),
  prediction: choice(
    ["eps", "x0", "previous", "v"],
    "what the network predicts: noise, image, the mean of x_{t-1}, or v",
    {
      otherwise: "x0 with --predict_xstart True, else eps",
    },
  ),
  variance: withEarlier(
    choice(
      ["fixed-small", "fixed-large", "learned", "learned-range"],
      "of the reverse step; learned: its logarithm, learned-range: a place between the fixed ones",
      { otherwise: "as --learn_sigma and --sigma_small say" },
    ),
    { fixedSmall: "fixed-small", fixedLarge: "fixed-large", learnedRange: "learned-range" },
  ),
  image_size: whole("side of the images in pixels"),
  large_size: whole("the same of an upsampler"),
  small_size: whole("of an upsampler: side of the small images", { otherwise: "a quarter of the large" }),
  num_classes: whole("classes that it is told or tells apart", { otherwise: "as the tensors say" }),
  num_channels: whole("channels that channel_mult multiplies"),
  num_res_blocks: whole("residual blocks at each resolution"),
  num_heads: wholeOrNone("attention heads; tensors don't tell them"),
  num_heads_upsample: wholeOrNone("the same of the upward half"),
  num_head_channels: wholeOrNone("channels of each attention head"),
  attention_resolutions: numbers("sides in pixels where the network attends"),
  channel_mult: numbers("channels at each resolution", { mayBeEmpty: true }),
  class_cond: truth("is it told the class?"),
  use_scale_shift_norm: truth("AdaGN"),
  resblock_updown: truth("residual blocks change the resolution"),
  use_new_attention_order: truth("layout of the attention projections; tensors don't tell it (default: False)"),
  classifier_width: whole("num_channels of a classifier"),
  classifier_depth: whole("num_res_blocks of a classifier"),
  classifier_attention_resolutions: numbers("attention_resolutions of a classifier"),
  classifier_use_scale_shift_norm: truth("use_scale_shift_norm of a classifier"),
  classifier_resblock_updown: truth("resblock_updown of a classifier"),
  classifier_pool: choice(pools, "pooling of a classifier"),
  noise_schedule: choice(["linear", "cosine"], "how noise grows", { otherwise: "the preset's, else linear" }),
  diffusion_steps: whole("timesteps of the chain", { otherwise: "1000", most: 1_000_000 }),
  learn_sigma: truth("does it learn the variance?"),
  sigma_small: truth("fixed variance: the smaller one (default: False)"),
  predict_xstart: truth("predicts the image, not the noise (default: False)"),
  rescale_timesteps: truth("timesteps are scaled to 0 ... 1000 (default: False)"),
  ...ofNoEffect,
};
export const importCheckpoint = define({
  name: "import",
  argument: { name: "file", help: "safetensors, or what torch.save wrote (.pt, .pth, .ckpt, .bin ...)" },
  summary: "make a model folder of published weights",
  examples: [
    "guidestar import 64x64_diffusion.pt --preset adm-64 --out adm-64",
    "guidestar import 64x64_classifier.pt --preset adm-64-classifier --out adm-64     # joins it",
    "guidestar import model.pt --config network.json --out imported",
  ],
  options,
  notes:
    "Without --preset and --config the network is recognised from its tensors; image_size, heads, attention order and noise, which " +
    "they don't tell, are options. An option that contradicts the tensors is an error. A command line that describes " +
    "denoiser and classifier serves for both files: a classifier then takes the classifier_ options, image_size and the noise. " +
    `Nothing in the file is executed.\nPresets: ${presetNames.join(", ")}.`,
});
export type ImportValues = ValuesOf<typeof importCheckpoint>;
