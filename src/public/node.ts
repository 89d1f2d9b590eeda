import "./node-engine.ts";

export { type Average, type AverageOptions, averageOfLength } from "../checkpoint/average-folder.ts";
export { type ImportOptions, importNetwork, type NetworkToImport, withoutPrefix } from "../checkpoint/import.ts";
export { bundledModels, loadModel, type ModelToSave, type SaveOptions, saveModel } from "../checkpoint/model-folder.ts";
export { checkpointFolder } from "../checkpoint/run-folder.ts";
export { type Dataset, type DatasetOptions, openDataset } from "../data/dataset.ts";
export { type ImageNeeds, labelsFor, openImagesFor } from "../data/model-images.ts";
export { digitsDetector, digitsReference } from "../evaluation/detectors/digits.ts";
export { type FileContents, writeAtomically, writeFiles } from "../files/atomic.ts";
export { openFile } from "../files/file-source.ts";
export { type FolderLock, lockFolder } from "../files/lock.ts";
export { openBackend } from "../runtime/node.ts";
