import type { DataShape, DenoiserDataShape } from "../family.ts";
import type { BackboneConfig, ClassifierConfig, UNetConfig } from "./config.ts";

/** Sizes of networks that a CPU trains, for people who don't want to choose each number. */
export const presetNames = ["tiny", "small", "deep", "base", "patch-tiny", "patch-small", "patch-base"] as const;
/** Names of the sizes. */
export type PresetName = (typeof presetNames)[number];

/** Something for each size. */
export const bySize = <T>(make: (name: PresetName) => T): Readonly<Record<PresetName, T>> =>
  Object.fromEntries(presetNames.map((name) => [name, make(name)])) as Record<PresetName, T>;

/** A size, apart from what the data determine. */
type Preset = Pick<
  BackboneConfig,
  "modelChannels" | "numResBlocks" | "resblockUpdown" | "convResample" | "patchSize"
> & {
  /** Channels at each resolution; images that can be halved more often use the last again. */
  readonly channelMult: readonly number[];
};

// Channels are multiples of 16, which convolutions on a CPU compute at once. Few of them where there are many pixels: those that work on
// patches of 2x2 pixels have a quarter of the pixels, and so more channels in the same time.

/** Halved by averages and doubled by repeating pixels, without convolutions, which cost most where there are most pixels. */
const plain = { modelChannels: 64, resblockUpdown: false, convResample: false } as const;

/** What the presets of patches have in common. */
const ofPatches = { ...plain, patchSize: 2 } as const;

/** Denoisers; parameters and cost per 28x28 image of one channel, `deep` and those of patches per 32x32 image in colour. */
const denoisers: Record<PresetName, Preset> = {
  /** 0.9 M, 0.12 GFLOP. */
  tiny: { ...plain, numResBlocks: 1, channelMult: [0.25, 0.5, 1] },
  /** 1.5 M, 0.24 GFLOP. */
  small: { modelChannels: 64, numResBlocks: 2, channelMult: [0.25, 0.5, 1] },
  /** 3.0 M, 0.20 GFLOP: tiny, with a fourth resolution, which costs little and holds most of the weights. */
  deep: { ...plain, numResBlocks: 1, channelMult: [0.25, 0.5, 1, 2] },
  /** 4.9 M, 0.95 GFLOP. */
  base: { modelChannels: 64, numResBlocks: 2, channelMult: [0.5, 1, 2] },
  /** 1.4 M, 0.11 GFLOP. */
  "patch-tiny": { ...ofPatches, numResBlocks: 1, channelMult: [0.5, 1, 1] },
  /** 3.0 M, 0.16 GFLOP. */
  "patch-small": { ...ofPatches, numResBlocks: 1, channelMult: [0.5, 1, 2] },
  /** 3.7 M, 0.28 GFLOP. */
  "patch-base": { ...ofPatches, numResBlocks: 1, channelMult: [0.75, 1.5, 2] },
};

/** Noisy classifiers, to steer the denoiser of the same name. */
const classifiers: Record<PresetName, Preset> = {
  /** 0.5 M, 0.04 GFLOP. */
  tiny: { modelChannels: 64, numResBlocks: 1, channelMult: [0.25, 0.5, 1] },
  /** 0.7 M, 0.07 GFLOP. */
  small: { modelChannels: 64, numResBlocks: 2, channelMult: [0.25, 0.5, 1] },
  deep: { modelChannels: 64, numResBlocks: 1, channelMult: [0.25, 0.5, 1, 2] },
  /** 1.6 M, 0.17 GFLOP. */
  base: { modelChannels: 64, numResBlocks: 1, channelMult: [0.5, 1, 2] },
  "patch-tiny": { ...ofPatches, numResBlocks: 1, channelMult: [0.5, 1, 1] },
  "patch-small": { ...ofPatches, numResBlocks: 1, channelMult: [0.5, 1, 2] },
  "patch-base": { ...ofPatches, numResBlocks: 1, channelMult: [0.75, 1.5, 2] },
};

/** Smallest side that a network works at, and the largest at which its pixels attend to each other. */
const smallestSize = 4;
const attentionSize = 8;

/**
 * How many resolutions images have, of which the first has one pixel for each patch: they are halved while both sides are even, once more
 * for every doubling of the longer above 32.
 */
function levelCount(height: number, width: number, patchSize: number, multipliers: number): number {
  const most = multipliers + Math.max(0, Math.ceil(Math.log2(Math.max(height, width) / 32)));
  const halves = (side: number): boolean => side % 2 === 0 && side / 2 >= smallestSize;
  let count = 1;
  for (let [h, w] = [height / patchSize, width / patchSize]; count < most && halves(h) && halves(w); h /= 2, w /= 2)
    count++;
  return count;
}

/** Can images be cut into patches that leave as many pixels as a network needs? */
const isCutBy = (patchSize: number, ...sides: number[]): boolean =>
  sides.every((side) => side % patchSize === 0 && side / patchSize >= smallestSize);

function backbone(
  { channelMult, patchSize: wanted = 1, ...preset }: Preset,
  [inChannels, imageSize, imageWidth]: DataShape["imageShape"],
) {
  const patchSize = isCutBy(wanted, imageSize, imageWidth) ? wanted : 1;
  const factors = Array.from(
    { length: levelCount(imageSize, imageWidth, patchSize, channelMult.length) },
    (_, level) => patchSize * 2 ** level,
  );
  return {
    ...preset,
    ...(patchSize > 1 && { patchSize }),
    imageSize,
    ...(imageWidth !== imageSize && { imageWidth }),
    inChannels,
    channelMult: factors.map((_, level) => channelMult[level] ?? channelMult.at(-1)!),
    attentionResolutions: factors.filter((factor) => Math.max(imageSize, imageWidth) / factor <= attentionSize),
    numHeadChannels: 16,
    normGroups: 8,
  } satisfies Omit<BackboneConfig, "outChannels">;
}

/** A denoiser that is told the class; with `learnedVariance` it has C more output channels, with `nullLabel` one more label. */
export const denoiserPreset = (
  name: PresetName,
  {
    imageShape,
    classes,
    learnedVariance = true,
    nullLabel = true,
    augmentSize,
  }: DataShape & Partial<DenoiserDataShape>,
): UNetConfig => ({
  ...backbone(denoisers[name], imageShape),
  outChannels: learnedVariance ? 2 * imageShape[0] : imageShape[0],
  ...(classes > 0 && { numClasses: classes, nullLabel }),
  ...(augmentSize !== undefined && { augmentSize }),
});

/** A noisy classifier with attention pooling. */
export const classifierPreset = (name: PresetName, { imageShape, classes }: DataShape): ClassifierConfig => ({
  ...backbone(classifiers[name], imageShape),
  outChannels: classes,
  pool: "attention",
});

const benchmark = (modelChannels: number): UNetConfig => ({
  imageSize: 32,
  inChannels: 3,
  outChannels: 6,
  modelChannels,
  channelMult: [1, 2, 2],
  numResBlocks: 2,
  attentionResolutions: [2],
  numHeadChannels: 32,
  resblockUpdown: false,
  convResample: false,
  numClasses: 10,
});

/** UNets that speed is measured on: 6.5 M and 1.6 M parameters, 2.8 and 0.7 GFLOP per image. */
export const benchmarkConfigs = { "bench-64": benchmark(64), "bench-32": benchmark(32) };
