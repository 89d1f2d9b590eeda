import {
  type ClassifierConfig,
  type NetworkConfig,
  type SuperResolutionConfig,
  type UNetConfig,
  usualLowResolution,
} from "./config.ts";

/** Channels at each resolution of the networks of Dhariwal & Nichol 2021, by image size. */
const channelMults = {
  64: [1, 2, 3, 4],
  128: [1, 1, 2, 3, 4],
  256: [1, 1, 2, 2, 4, 4],
  512: [0.5, 1, 1, 2, 2, 4, 4],
} as const;
type ImageSize = keyof typeof channelMults;

/** Downsampling factors at which a network for `imageSize` pixels attends, given as heights in pixels. */
const attentionAt = (imageSize: number, ...heights: number[]): number[] => heights.map((height) => imageSize / height);

const backbone = (imageSize: ImageSize) => ({
  imageSize,
  inChannels: 3,
  numResBlocks: 2,
  attentionResolutions: attentionAt(imageSize, 32, 16, 8),
  channelMult: channelMults[imageSize],
  useScaleShiftNorm: true,
  resblockUpdown: true,
  useNewAttentionOrder: false,
});

const wideHeads = { numHeadChannels: 64 };
const fourHeads = { numHeads: 4 };
const conditional = { numClasses: 1000 };

const denoiser = (imageSize: ImageSize, options: Partial<UNetConfig>): NetworkConfig => ({
  kind: "adm-unet",
  config: { ...backbone(imageSize), modelChannels: 256, outChannels: 6, ...options },
});

const upsampler = (imageSize: ImageSize, options: Partial<SuperResolutionConfig>): NetworkConfig => ({
  kind: "adm-super-resolution",
  config: {
    ...backbone(imageSize),
    lowResolution: usualLowResolution(imageSize),
    modelChannels: 192,
    outChannels: 6,
    channelMult: channelMults[256],
    ...conditional,
    ...options,
  },
});

const classifier = (imageSize: ImageSize, options: Partial<ClassifierConfig> = {}): NetworkConfig => ({
  kind: "adm-classifier",
  config: {
    ...backbone(imageSize),
    ...wideHeads,
    modelChannels: 128,
    outChannels: 1000,
    pool: "attention",
    ...options,
  },
});

/** The networks that openai/guided-diffusion published weights of. All denoisers learn the variance. */
export const publishedNetworks = {
  "adm-64": denoiser(64, {
    ...wideHeads,
    ...conditional,
    modelChannels: 192,
    numResBlocks: 3,
    useNewAttentionOrder: true,
  }),
  "adm-128": denoiser(128, { ...fourHeads, ...conditional }),
  "adm-256": denoiser(256, { ...wideHeads, ...conditional }),
  /** ImageNet without classes; also the LSUN models. */
  "adm-256-unconditional": denoiser(256, wideHeads),
  "adm-512": denoiser(512, { ...wideHeads, ...conditional }),
  /** From 64 pixels. */
  "adm-256-upsampler": upsampler(256, fourHeads),
  /** From 128 pixels. */
  "adm-512-upsampler": upsampler(512, { ...wideHeads, attentionResolutions: attentionAt(512, 32, 16) }),
  "adm-64-classifier": classifier(64, { numResBlocks: 4 }),
  "adm-128-classifier": classifier(128),
  "adm-256-classifier": classifier(256),
  "adm-512-classifier": classifier(512),
} satisfies Record<string, NetworkConfig>;

/** Those of them that were trained on the cosine schedule; the others were on the linear one, all of 1000 steps. */
export const cosineNetworks: readonly string[] = [
  "adm-64",
  "adm-64-classifier",
] satisfies (keyof typeof publishedNetworks)[];
