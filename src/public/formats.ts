/**
 * Files of numbers and pictures as values and back: npz of NumPy, safetensors, PyTorch's `.pt`, of which nothing is executed, and PNG.
 * Readers refuse what they don't expect by a DataError or ModelError that names the file and the place. `decodeImage` of
 * `guidestar/node` reads pictures of any kind.
 *
 * ```ts
 * import { readNpz, readSafetensors, writeNpz, writeSafetensors } from "guidestar/formats";
 * import { float32 } from "guidestar/tensor";
 *
 * const x = float32([2, 2], [1, 2, 3, 4]);
 * const { tensors } = readSafetensors(writeSafetensors({ x }));
 * console.log(tensors.x.data.join(" ")); // 1 2 3 4
 *
 * const arrays = readNpz(writeNpz({ x }));
 * console.log(arrays.x.shape.join(" ")); // 2 2
 * ```
 *
 * @module guidestar/formats
 */

export type { ByteSource } from "../formats/bytes.ts";
export type { LazyTensor } from "../formats/lazy-tensor.ts";
export type { NumpyArray, NumpyData, NumpyDType, WritableArray } from "../formats/npy.ts";
export { readNpz, writeNpz } from "../formats/npz.ts";
export {
  openSafetensors,
  readSafetensors,
  type SafeTensor,
  type Safetensors,
  type WriteOptions,
  writeSafetensors,
} from "../formats/safetensors.ts";
export { openTorch, readTorch, type TorchOptions } from "../formats/torch.ts";
export { type GridOptions, grid } from "../images/grid.ts";
export type { DecodedImage, Image } from "../images/image.ts";
export { toFloat32, toUint8 } from "../images/planes.ts";
export { encodePng, type PngOptions, readPngText } from "../images/png.ts";
export { sheetLayout } from "../images/sheet.ts";
export { type PreviewOptions, terminalPreview } from "../images/terminal.ts";
