/** What the root of the package has on every platform; in browsers that is all of it. */

export { type Batch, type BatchOptions, batchSequence } from "../data/batches.ts";
export type { Split } from "../data/content.ts";
export { type DatasetReport, formatReport, reportOf } from "../data/report.ts";
export {
  DataError,
  type ErrorCode,
  GuidestarError,
  ModelError,
  RuntimeFailure,
  ShapeError,
  UsageError,
} from "../errors.ts";
export { type GridOptions, grid } from "../images/grid.ts";
export type { Image } from "../images/image.ts";
export { toUint8 } from "../images/planes.ts";
export { encodePng, readPngText } from "../images/png.ts";
export { terminalPreview } from "../images/terminal.ts";
export * from "./diffusion.ts";
export * from "./evaluation.ts";
export * from "./formats.ts";
export * from "./models.ts";
export * from "./nn.ts";
export * from "./tensor.ts";
// Of two in the chapters the root has the operator.
export { conv2d } from "./tensor.ts";
export * from "./training.ts";
