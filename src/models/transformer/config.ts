/** A transformer of patches of pixels; `pixelTransformer` makes it. Every field is plain JSON. */
export interface PixelTransformerConfig {
  /** Height of the images, in pixels, and their width where `imageWidth` says no other. */
  readonly imageSize: number;
  /** Width of images that are not square. */
  readonly imageWidth?: number | undefined;
  /** Channels of the image. */
  readonly inChannels: number;
  /** Channels of the output: those of the image, twice as many with a learned variance. */
  readonly outChannels: number;
  /** Side of the patches that images are cut into, in pixels: each is one token. */
  readonly patchSize: number;
  /** Numbers of a token. */
  readonly hiddenSize: number;
  /** Blocks, of attention and a gated layer each. */
  readonly depth: number;
  /** Heads of attention. Each is hiddenSize / numHeads wide, which must be a multiple of 4: pairs for rows and for columns. */
  readonly numHeads: number;
  /** Width of the gated layer, in units of `hiddenSize`, rounded to a multiple of 16. Default 8/3, at which it costs as much as a plain one of 4. */
  readonly mlpRatio?: number | undefined;
  /** Number of classes, for a network that is told the class. */
  readonly numClasses?: number | undefined;
  /** One more label, `numClasses`, that stands for "no class". Default false. */
  readonly nullLabel?: boolean | undefined;
  /** It is told a scale of classifier-free guidance, from 1 to this; where not given, none. */
  readonly maxCfgScale?: number | undefined;
  /** Numbers that tell how training changed an image, see `DenoiserInputs`; none by default. */
  readonly augmentSize?: number | undefined;
}

/** Width of the gated layer inside a block. */
export const innerSize = ({ hiddenSize, mlpRatio = 8 / 3 }: PixelTransformerConfig): number =>
  Math.max(16, 16 * Math.round((hiddenSize * mlpRatio) / 16));
