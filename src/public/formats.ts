/**
 * Files of numbers as values and back: npz of NumPy, safetensors, PyTorch's `.pt`, of which nothing is executed. Readers refuse what
 * they don't expect by a DataError or ModelError that names the file and the place.
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
 * @module formats
 */

export type { LazyTensor } from "../formats/lazy-tensor.ts";
export { readNpz, writeNpz } from "../formats/npz.ts";
export { openSafetensors, readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
export { openTorch, readTorch } from "../formats/torch.ts";
