export type { LazyTensor } from "../formats/lazy-tensor.ts";
export { readNpz, writeNpz } from "../formats/npz.ts";
export { openSafetensors, readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
export { openTorch, readTorch } from "../formats/torch.ts";
