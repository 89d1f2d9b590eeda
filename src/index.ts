/**
 * Guidestar: train, guide and sample class-conditional diffusion models.
 *
 * The few lines that most people write need `loadModel`, `sample` and `collect`; or `openDataset` and `trainDenoiser`. Below
 * them is everything those are made of: traced functions, networks, the diffusion process, guidance and samplers.
 */

export { type Batch, type BatchOptions, batchSequence } from "./data/batches.ts";
export type { Split } from "./data/content.ts";
export { type DatasetReport, formatReport, reportOf } from "./data/report.ts";
export {
  DataError,
  type ErrorCode,
  GuidestarError,
  ModelError,
  RuntimeFailure,
  ShapeError,
  UsageError,
} from "./errors.ts";
export { animationGif, decodeImage } from "./images/decode.ts";
export { type GridOptions, grid, type Image, toUint8 } from "./images/image.ts";
export { encodePng, readPngText } from "./images/png.ts";
export { terminalPreview } from "./images/terminal.ts";
export * from "./public/diffusion.ts";
export * from "./public/evaluation.ts";
export * from "./public/formats.ts";
export * from "./public/models.ts";
export * from "./public/nn.ts";
export * from "./public/node.ts";
export * from "./public/tensor.ts";
export * from "./public/training.ts";
