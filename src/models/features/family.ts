import type { Module } from "../../nn/module.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ConfigSchema, DataShape, ImageShape } from "../family.ts";

/** What a network of features sees in images. */
export interface SeenFeatures {
  /** Scores of the classes [N, K], log p(class | image) up to a constant. */
  readonly logits: Tensor;
  /** Features [N, D], means over the image of what the logits are a linear map of. */
  readonly features: Tensor;
  /** Spatial features [N, S, h, w], the first channels of an earlier layer, which keep the place, for spatial Frechet distances (Nash et al. 2021). */
  readonly spatial: Tensor;
}

/** Clean images x [N, C, H, W] in [-1, 1] to what is seen in them. */
export type FeaturesNetwork = Module<[x: Tensor], SeenFeatures>;

/** A family of networks that see features in clean images: the rulers of metrics. */
export interface FeaturesFamily<Config extends object = object> {
  /** Its name in detector.json: lower case, with hyphens. */
  readonly kind: string;
  /** Bounds keep a damaged or hostile file from asking for absurd networks. */
  readonly schema: ConfigSchema<Config>;
  /** [C, H, W] of the images that a network of this config looks at, and the number of its classes. */
  signature(config: Config): { readonly imageShape: ImageShape; readonly classes: number };
  /** The network: what it is made of, and a function of its parameters and images. */
  build(config: Config): FeaturesNetwork;
  /** Configs by name, for images and classes. */
  readonly presets: Readonly<Record<string, (data: DataShape) => Config>>;
}
