/** What all networks of the ADM family (Dhariwal & Nichol 2021) have in common. Every field is plain JSON. */
export interface BackboneConfig {
  /** Height of the images it was made for, in pixels, and their width where `imageWidth` says no other. */
  readonly imageSize: number;
  /** Width of images that are not square. */
  readonly imageWidth?: number | undefined;
  /**
   * Side of the blocks of pixels that the network takes for one pixel of patchSize^2 times the channels: 2 leaves it a quarter of the
   * pixels (space to depth, see `spaceToDepth`). Default 1.
   */
  readonly patchSize?: number | undefined;
  /** Channels of the image. */
  readonly inChannels: number;
  /** Channels of the output: those of the image, twice as many with a learned variance; of a classifier, the number of classes. */
  readonly outChannels: number;
  /** Channels that `channelMult` multiplies. */
  readonly modelChannels: number;
  /** Residual blocks at each resolution. */
  readonly numResBlocks: number;
  /** Resolutions with attention, by how often smaller than the image they are: 4 means at a quarter of height and width. */
  readonly attentionResolutions: readonly number[];
  /** Channels at each resolution, in units of `modelChannels`; each entry after the first halves height and width. Fractions
   * allowed. The first is that of the image, or of its patches. */
  readonly channelMult: readonly number[];
  /** Attention heads where `numHeadChannels` is not given. Default 1. */
  readonly numHeads?: number | undefined;
  /** Channels of each attention head; overrides `numHeads`. */
  readonly numHeadChannels?: number | undefined;
  /** The embedding scales and shifts the normalised activations (AdaGN) instead of being added to them. Default true. */
  readonly useScaleShiftNorm?: boolean | undefined;
  /** Residual blocks change the resolution instead of single layers. Default true. */
  readonly resblockUpdown?: boolean | undefined;
  /** Without `resblockUpdown`: resolutions change by learned convolutions, not by averaging and repeating. Default true. */
  readonly convResample?: boolean | undefined;
  /** Layout of the attention projections, see `attentionBlock`. Default true. */
  readonly useNewAttentionOrder?: boolean | undefined;
  /** Most groups that channels are normalised in; the greatest common divisor with the channels is used. Default 32. */
  readonly normGroups?: number | undefined;
}

/** A denoiser; `unet` makes it. */
export interface UNetConfig extends BackboneConfig {
  /** Number of classes, for a network that is told the class. */
  readonly numClasses?: number | undefined;
  /** One more label, `numClasses`, that stands for "no class". Default false. */
  readonly nullLabel?: boolean | undefined;
  /** Numbers that tell how training changed an image, see `DenoiserInputs`; none by default. */
  readonly augmentSize?: number | undefined;
  /** Attention heads of the upward half. Default `numHeads`. */
  readonly numHeadsUpsample?: number | undefined;
  /** It is told a scale of classifier-free guidance, from 1 to this; where not given, none. */
  readonly maxCfgScale?: number | undefined;
}

/** A denoiser that enlarges small images; `superResUnet` makes it. `inChannels` counts the channels of the image alone. */
export interface SuperResolutionConfig extends UNetConfig {
  /** Height and width of the small images, in pixels. */
  readonly lowResolution: number;
}

/** The published upsamplers enlarge images four times. */
export const usualLowResolution = (imageSize: number): number => Math.max(1, Math.floor(imageSize / 4));

/** How a classifier turns activations into one vector per image. */
export const pools = ["adaptive", "attention", "spatial", "spatial_v2"] as const;
/** How a classifier makes logits of its last feature maps, by the names of openai/guided-diffusion. */
export type Pool = (typeof pools)[number];

/** A classifier of noised images; `encoderUnet` makes it. */
export interface ClassifierConfig extends BackboneConfig {
  /** "adaptive": mean of the pixels; "attention": attention pooling; "spatial": means after every block, then two layers;
   * "spatial_v2": the same with normalisation. Default "attention". */
  readonly pool?: Pool | undefined;
}

/** Is a network of the ADM family? */
export const isAdm = (network: { readonly kind: string; readonly config: object }): network is NetworkConfig =>
  network.kind === "adm-unet" || network.kind === "adm-super-resolution" || network.kind === "adm-classifier";

/** A network of the ADM family by its kind and config, as model.json has them. */
export type NetworkConfig =
  | { readonly kind: "adm-unet"; readonly config: UNetConfig }
  | { readonly kind: "adm-super-resolution"; readonly config: SuperResolutionConfig }
  | { readonly kind: "adm-classifier"; readonly config: ClassifierConfig };
