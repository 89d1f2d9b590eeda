import { UsageError } from "../errors.ts";
import type { Shape } from "../ndarray.ts";
import type { Module } from "../nn/module.ts";
import type { SchemaProblem } from "../problems.ts";
import type { Labels, Tensor } from "../tensor/tensor.ts";

/** [C, H, W] of one image. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** What a denoiser is told beside x_t and t: what its signature names, and nothing else. */
export interface DenoiserInputs {
  /** The class of each image, int32 or int64 [N]. */
  readonly label?: Labels | undefined;
  /** Small images [N, C, h, w] that an upsampler enlarges. */
  readonly lowRes?: Tensor | undefined;
  /** Scale of classifier-free guidance, [N], which a student learnt to follow. */
  readonly guidanceScale?: Tensor | undefined;
  /** How training changed each image, [N, augmentSize]; left out, the network takes images to be as they are. */
  readonly augment?: Tensor | undefined;
}

/** x [N, C, H, W], t float32 [N] -> [N, outChannels, H, W]. */
export type DenoiserNetwork = Module<[x: Tensor, t: Tensor, given: DenoiserInputs]>;

/** x [N, C, H, W], t float32 [N] -> logits [N, classes]. */
export type ClassifierNetwork = Module<[x: Tensor, t: Tensor]>;

/** What a denoiser takes and gives. */
export interface DenoiserSignature {
  /** [C, H, W] of the images that it denoises. */
  readonly imageShape: ImageShape;
  /** Channels of the output: C, or 2 C with a learned variance. */
  readonly outChannels: number;
  /** How many classes it is told one of, as labels 0 ... classes - 1; undefined where it is told none. */
  readonly classes?: number | undefined;
  /** The label that stands for "no class", which is `classes`; undefined where there is none. */
  readonly nullLabel?: number | undefined;
  /** [C, h, w] of the small images that it enlarges; undefined where it draws from noise alone. */
  readonly lowRes?: ImageShape | undefined;
  /** Largest scale of classifier-free guidance that it is told, from 1; undefined where it is told none. */
  readonly maxCfgScale?: number | undefined;
  /** How many numbers tell it how training changed an image; undefined where it is told none. */
  readonly augmentSize?: number | undefined;
}

/** What a classifier of noised images takes and gives. */
export interface ClassifierSignature {
  /** [C, H, W] of the images that it reads. */
  readonly imageShape: ImageShape;
  /** Number of logits. */
  readonly classes: number;
}

/** Checks a config that comes from a file. A schema of zod is one; any object with this method will do. */
export interface ConfigSchema<Config> {
  /** Gives the config, or what is wrong in it; never throws. */
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: Config }
    | { readonly success: false; readonly error: { readonly issues: readonly SchemaProblem[] } };
}

/** Shape of every tensor of a checkpoint, by name. */
export type Shapes = Readonly<Record<string, Shape>>;

/** Images and classes that a network is to fit. */
export interface DataShape {
  /** [C, H, W] */
  readonly imageShape: ImageShape;
  /** Number of classes; 0 where the images have no labels. */
  readonly classes: number;
}

/** The same for a denoiser. */
export interface DenoiserDataShape extends DataShape {
  /** It predicts variances too, in C more output channels. */
  readonly learnedVariance: boolean;
  /** It has a null label, for classifier-free guidance. */
  readonly nullLabel: boolean;
  /** Numbers that tell it how an image was changed, where training does that; see `augmented`. */
  readonly augmentSize?: number | undefined;
}

/** For `refit`: throws UsageError unless both sides of images are multiples of a number. */
export function checkSides(factor: number, [height, width]: readonly [height: number, width: number]): void {
  if (height % factor !== 0 || width % factor !== 0)
    throw new UsageError(
      `the network to begin with takes images whose sides are multiples of ${factor}, but these are ${width}x${height}: give such a --size, or --preset for another network`,
    );
}

/**
 * Parameters whose shapes follow the data, by state-dict key. Where several pixels count as channels (patches), those of one channel of
 * the image lie side by side.
 */
export interface DataParameters {
  /** Kernels that see the image: axis 1 counts its channels. */
  readonly image: readonly string[];
  /** Kernels and biases that give the output: axis 0 counts its channels. A classifier has none. */
  readonly output: readonly string[];
  /** Rows, one for each class; one more, which is last, for "no class". */
  readonly classes: readonly string[];
}

interface Family<Config, Signature, Network, Data> {
  /** Name of the family in model.json: lower case, with hyphens. */
  readonly kind: string;
  /** Bounds keep a damaged or hostile file from asking for absurd networks. */
  readonly schema: ConfigSchema<Config>;
  /** What a network of this config takes and gives. It allocates nothing and does not build the network. */
  signature(config: Config): Signature;
  /** The network: what it is made of, and a function of its parameters and inputs. */
  build(config: Config): Network;
  /** Configs for people who don't want to choose each number: sizes by name, which `guidestar train --preset` takes. */
  readonly presets?: Readonly<Record<string, (data: Data) => Config>>;
  /**
   * For fine-tuning: the config of the same network for other images and classes. Without it a network is fine-tuned for data like its own
   * only. Throws UsageError where there is none for such images.
   */
  refit?(config: Config, data: Data): Config;
  /** For fine-tuning: the parameters whose shapes follow the data. Without it weights are taken over where names and shapes agree. */
  dataParameters?(config: Config): DataParameters;
  /**
   * For `guidestar import`: the config that the tensors of a checkpoint are of, by their names and shapes; undefined where they are
   * not of this family. Without it such a checkpoint is imported by `--config`.
   */
  recognise?(tensors: Shapes): Config | undefined;
}

/** A family of denoisers. A model's config is of the type that `schema` gives: plain JSON. */
export interface DenoiserFamily<Config extends object = object>
  extends Family<Config, DenoiserSignature, DenoiserNetwork, DenoiserDataShape> {
  readonly role: "denoiser";
  /**
   * For `guidestar distill`: the config of a student of the network of a config, which is told the class where that is, has no null label
   * and no channels for a variance, and is told scales of guidance from 1 to `maxCfgScale` where that is given. It begins
   * with its teacher's weights, as `planTransfer` takes them over. Without it there are no students.
   */
  student?(config: Config, told: { readonly maxCfgScale?: number | undefined }): Config;
}

/** A family of classifiers of noised images. A model's config is of the type that `schema` gives: plain JSON. */
export interface ClassifierFamily<Config extends object = object>
  extends Family<Config, ClassifierSignature, ClassifierNetwork, DataShape> {
  readonly role: "classifier";
}

/** A family of networks: everything that loading, training, sampling and exporting ask about one. */
export type NetworkFamily = DenoiserFamily | ClassifierFamily;

/** What a network of a model is for. */
export type NetworkRole = NetworkFamily["role"];
export const networkRoles = ["denoiser", "classifier"] as const satisfies NetworkRole[];

/** The families that `guidestar train` takes where none is asked for. */
export const defaultFamilies = { denoiser: "adm-unet", classifier: "adm-classifier" } as const satisfies Record<
  NetworkRole,
  string
>;
