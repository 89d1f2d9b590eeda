/** What the root of the package has on every platform; in browsers that is all of it. */

export {
  DataError,
  type ErrorCode,
  GuidestarError,
  ModelError,
  RuntimeFailure,
  ShapeError,
  UsageError,
} from "../errors.ts";
export { cascade, collect, ddim, exportGraph, type SampleEvent, type SampleOptions, sample } from "./diffusion.ts";
export { collectFeatures, evaluate, features, type Report } from "./evaluation.ts";
export { encodePng, grid, type Image, toUint8 } from "./formats.ts";
export { type Model, modelFromFiles } from "./models.ts";
export { type Backend, type NDArray, onnxFile } from "./tensor.ts";
export {
  batchSequence,
  classifierRecipe,
  denoiserRecipe,
  type TrainingEvent,
  type TrainOptions,
  trainClassifier,
  trainDenoiser,
  trained,
} from "./training.ts";
