/**
 * Families of networks and models. A family is one value: how its config is checked, what a network takes and gives, how it is built.
 * `registerFamily` makes one of your own known, so that folders that name it load. A model is a record and the weights of its networks.
 *
 * ```ts
 * import { admUnet } from "guidestar/models";
 * import { countParameters } from "guidestar/nn";
 *
 * const data = { imageShape: [1, 28, 28], classes: 10, nullLabel: true, learnedVariance: true };
 * const config = admUnet.presets.tiny(data);
 * console.log(admUnet.signature(config).nullLabel); // 10
 * console.log(countParameters(admUnet.build(config)) < 1e6); // true
 * ```
 *
 * @module guidestar/models
 */

export type { Model, ModelToSave, NetworkToSave, Weights } from "../checkpoint/model.ts";
export { filesOfModel, type ModelFiles, modelFromFiles, modelFromZip, zipModel } from "../checkpoint/model-files.ts";
export type { ClassifierRecord, DenoiserRecord, ModelRecord, SamplingDefaults } from "../checkpoint/schema.ts";
export { encoderUnet } from "../models/adm/classifier.ts";
export type {
  BackboneConfig,
  ClassifierConfig,
  NetworkConfig,
  Pool,
  SuperResolutionConfig,
  UNetConfig,
} from "../models/adm/config.ts";
export { configFromGuidedDiffusion, type GuidedDiffusionConfig } from "../models/adm/guided-diffusion.ts";
export { classifierPreset, denoiserPreset, type PresetName, presetNames } from "../models/adm/presets.ts";
export { publishedNetworks } from "../models/adm/published.ts";
export { type RecogniseOptions, recognise } from "../models/adm/recognise.ts";
export { superResUnet } from "../models/adm/super-resolution.ts";
export { unet } from "../models/adm/unet.ts";
export { admClassifier } from "../models/adm-classifier.ts";
export { admSuperResolution } from "../models/adm-super-resolution.ts";
export { admUnet } from "../models/adm-unet.ts";
export {
  classifierNetwork,
  classifierSignature,
  denoiserNetwork,
  denoiserSignature,
  type NetworkDescription,
  registerFamily,
} from "../models/families.ts";
export type {
  ClassifierFamily,
  ClassifierNetwork,
  ClassifierSignature,
  ConfigSchema,
  DataParameters,
  DataShape,
  DenoiserDataShape,
  DenoiserFamily,
  DenoiserInputs,
  DenoiserNetwork,
  DenoiserSignature,
  ImageShape,
  NetworkFamily,
  NetworkRole,
  Shapes,
} from "../models/family.ts";
export type { FeaturesFamily, FeaturesNetwork, SeenFeatures } from "../models/features/family.ts";
export { type ResidualFeaturesConfig, residualFeatures } from "../models/features/residual.ts";
export { pixelTransformerFamily } from "../models/pixel-transformer.ts";
export { type NetworkOfClasses, planTransfer, type Transfer } from "../models/transfer.ts";
export type { PixelTransformerConfig } from "../models/transformer/config.ts";
export { pixelTransformer } from "../models/transformer/network.ts";
export type { SchemaProblem } from "../problems.ts";
