/**
 * What needs Node: its engine, onnxruntime-node in a worker thread; model folders, data sets and checkpoints on the disk; locks and
 * atomic writes.
 *
 * ```ts
 * import { bundledModels, loadModel } from "guidestar/node";
 *
 * console.log((await bundledModels()).join(" ")); // digits tiles
 * const { classes, imageShape } = await loadModel("digits");
 * console.log(classes.join(" ")); // 0 1 2 3 4 5 6 7 8 9
 * console.log(imageShape.join(" ")); // 1 28 28
 * ```
 *
 * @module guidestar/node
 */

import "./node-engine.ts";

export { type Average, type AverageOptions, averageOfLength } from "../checkpoint/average-folder.ts";
export type { DetectorRecord, DetectorToSave } from "../checkpoint/detector.ts";
export { saveDetector } from "../checkpoint/detector-folder.ts";
export { type ImportOptions, importNetwork, type NetworkToImport, withoutPrefix } from "../checkpoint/import.ts";
export { bundledModels, loadModel, type SaveOptions, saveModel } from "../checkpoint/model-folder.ts";
export { type CheckpointFolderOptions, checkpointFolder } from "../checkpoint/run-folder.ts";
export type { ClassNames } from "../class-names.ts";
export { type Dataset, type DatasetOptions, openDataset } from "../data/dataset.ts";
export type { Skipped } from "../data/entries.ts";
export type { LayoutName } from "../data/layout.ts";
export { type ImageNeeds, labelsFor, openImagesFor } from "../data/model-images.ts";
export type { DecodeProgress } from "../data/pack.ts";
export { type DatasetReport, formatReport, reportOf } from "../data/report.ts";
export { digitsDetector, digitsReference } from "../evaluation/detectors/digits.ts";
export { loadDetector } from "../evaluation/detectors/folder-detector.ts";
export { type FileContents, writeAtomically, writeFiles } from "../files/atomic.ts";
export { type OpenFile, openFile } from "../files/file-source.ts";
export { type FolderLock, lockFolder } from "../files/lock.ts";
export { type AnimationOptions, animationGif } from "../images/animation.ts";
export { type DecodeOptions, decodeImage, fitImage, type ImageDecoder } from "../images/decode.ts";
export { openBackend } from "../runtime/node.ts";
