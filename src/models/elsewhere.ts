/*
 * Networks of other programs, by the names of their tensors: only to say what a file is.
 */

interface Elsewhere {
  /** Each is found in some name. */
  readonly signs: readonly RegExp[];
  readonly what: string;
}

const latents =
  "its network draws latents, which an autoencoder makes pictures of; only networks that draw pixels can be imported";
const otherNames =
  "only networks with the names of openai/guided-diffusion are recognised; bring this one as a family of your own (registerFamily) and import " +
  'it with --config { "kind", "config" }, or train it anew';

const programs: readonly Elsewhere[] = [
  {
    signs: [/(^|\.)(first_stage_model|cond_stage_model|conditioner\.embedders)\./],
    what: `a checkpoint of latent diffusion (Stable Diffusion): ${latents}`,
  },
  {
    signs: [/(^|\.)(input|output)_blocks\.\d+\.\d+\.transformer_blocks\./],
    what: `a network of latent diffusion (Stable Diffusion), told texts by cross-attention: ${latents}`,
  },
  {
    signs: [
      /(^|\.)(post_)?quant_conv\.|(^|\.)encoder\.(down|down_blocks)\.\d/,
      /(^|\.)decoder\.(up|up_blocks|mid|conv_in)\b/,
    ],
    what: "an autoencoder (of latent diffusion), which makes pictures of latents and does not diffuse; import a network that draws pixels",
  },
  {
    signs: [/(^|\.)model_ema\.(diffusion_?model)?(input_?blocks|time_?embed)\d/],
    what: "the averages of a network whose names have lost their dots (model_ema.diffusion_modeltime_embed0weight ...), without the weights that tell where they were; import the whole checkpoint",
  },
  {
    signs: [/lora_(up|down|A|B)\b|^lora_/],
    what: "a LoRA: changes of another network's weights; merge it into that network first",
  },
  { signs: [/(^|\.)(text_model\.encoder|token_embedding)\b/], what: "a text encoder (CLIP), which draws nothing" },
  {
    signs: [/(^|\.)down_blocks\.\d+\.attentions\.\d+\.transformer_blocks\./],
    what: `a text-to-image network of diffusers (UNet2DConditionModel): ${latents}`,
  },
  {
    signs: [/(^|\.)conv_in\./, /(^|\.)down_blocks\.\d+\./],
    what: `a network of diffusers (UNet2DModel: conv_in, down_blocks ...): ${otherNames}`,
  },
  {
    signs: [/(^|\.)x_embedder\./, /(^|\.)blocks\.\d+\.adaLN_modulation\./],
    what: `a transformer (DiT: x_embedder, blocks.0.adaLN_modulation ...): ${otherNames}; those that are published draw latents`,
  },
  {
    signs: [/(^|\.)(transformer_blocks|double_blocks|joint_blocks|single_transformer_blocks)\.\d+\./],
    what: `a transformer (of diffusers or of its like): ${otherNames}`,
  },
  {
    signs: [/(^|\.)(patch_embed|cls_token|pos_embed)\b/, /(^|\.)(blocks|in_blocks|layers)\.\d+\./],
    what: `a transformer of patches (ViT, U-ViT): ${otherNames}`,
  },
  {
    signs: [/(^|\.)enc\.\d+x\d+_(conv|block\d|down)/],
    what: `a network of EDM (NVlabs: enc.64x64_conv ...): ${otherNames}`,
  },
  { signs: [/(^|\.)all_modules\.\d+\./], what: `a network of score_sde (all_modules.0 ...): ${otherNames}` },
  {
    signs: [/(^|\.)temb\.dense\.\d/, /(^|\.)down\.\d+\.block\.\d/],
    what: `a network of DDPM or DDIM (temb.dense.0, down.0.block.0 ...): ${otherNames}`,
  },
  {
    signs: [/(^|\.)init_conv\./, /(^|\.)downs\.\d+\.\d+\./],
    what: `a network of denoising-diffusion-pytorch (init_conv, downs.0.0 ...): ${otherNames}`,
  },
  {
    signs: [/(^|\.)layer[1-4]\.\d+\.conv\d\.|^features\.\d+\./],
    what: "a classifier of clean pictures (ResNet, VGG); guidance needs one that was trained on noised pictures, `guidestar train classifier`",
  },
];

/** What the tensors are of, where another program's networks have such names; a sentence that says what to do. */
export function programOf(names: readonly string[]): string | undefined {
  return programs.find(({ signs }) => signs.every((sign) => names.some((name) => sign.test(name))))?.what;
}

/** What is wrong with importing a network of images of so many channels; undefined where they are pixels, of 1 or 3. */
export const channelsProblem = (channels: number): string | undefined =>
  channels === 1 || channels === 3
    ? undefined
    : `its images have ${channels} channels, and pictures have 1 or 3: with ${channels} it is a latent model, whose images are made pictures ` +
      "of by an autoencoder, or one of other data; only networks that draw pixels can be imported";
