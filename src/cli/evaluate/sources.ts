import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { findDetector } from "../../checkpoint/detector-folder.ts";
import { gather } from "../../data/batches.ts";
import { contentWith } from "../../data/channels.ts";
import type { Split } from "../../data/content.ts";
import type { Dataset } from "../../data/dataset.ts";
import { tellsClasses } from "../../data/layout.ts";
import { DataError, ModelError, UsageError } from "../../errors.ts";
import { parseDeclaration } from "../../evaluation/detectors/declaration.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { digitsDetector } from "../../evaluation/detectors/digits.ts";
import { checkFits } from "../../evaluation/detectors/fits.ts";
import { type DetectorWithReference, loadDetector } from "../../evaluation/detectors/folder-detector.ts";
import { onnxDetector } from "../../evaluation/detectors/onnx-detector.ts";
import { collectFeatures, type FeatureSet, features } from "../../evaluation/features.ts";
import type { NumpyArray } from "../../formats/npy.ts";
import { readNpz } from "../../formats/npz.ts";
import type { NDArray } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { openImages } from "../terminal/images.ts";
import { type labelOptions, labelValues } from "../terminal/label-options.ts";
import type { Progress } from "../terminal/progress.ts";
import type { EvaluateValues } from "./command.ts";

export interface Surroundings {
  readonly backend: Backend;
  readonly signal: AbortSignal;
  readonly shown: Progress;
}

/** The arrays of an npz file. Throws DataError, which names the file. */
export async function readArrays(path: string): Promise<Record<string, NumpyArray>> {
  const bytes = await readFile(path).catch((cause: Error) => {
    throw new DataError(`${path}: cannot be read (${cause.message})`, { cause });
  });
  try {
    return readNpz(bytes);
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    throw new DataError(`${path}: ${cause.message}`, { cause });
  }
}

/** A detector of an ONNX file, for images of a shape. Its name tells it from others of the same file name. */
async function openOnnx(
  name: string,
  imageShape: readonly [number, number, number],
  backend: Backend,
): Promise<Detector> {
  const where = name.replace(/\.onnx$/, ".json");
  const read = (path: string, what: string) =>
    readFile(path).catch((cause: Error) => {
      throw new ModelError(`${path}: ${what} (${cause.message})`, { cause });
    });
  const bytes = await read(name, "the detector cannot be read");
  const text = await read(
    where,
    'a detector needs its declaration here, such as { "input": "x", "size": 299, "range": [-1, 1], "features": "pool" }',
  );
  const declaration = parseDeclaration(text.toString(), where);
  const hash = createHash("sha256").update(bytes).update(text).digest("hex").slice(0, 12);
  return onnxDetector({ name: `${basename(name)} (${hash})`, bytes, declaration, imageShape, backend });
}

/** What sees images: a detector that knows for which it is, or an ONNX file that is opened for images of a shape. */
export interface Ruler {
  /** Undefined for an ONNX file. */
  readonly known: DetectorWithReference | undefined;
  /** The detector for images of this shape; `known`, or another one each time. */
  open(imageShape: readonly [number, number, number]): Promise<Detector>;
}

/** "bundled" is what earlier versions called it. */
const digitsNames = ["digits", "bundled"];

/**
 * The detector that an option names: a folder, that of a model that carries one, a bundled model, or an ONNX file; that of digits without a name.
 *
 * @throws UsageError for another name, ModelError for a damaged detector
 */
export async function openRuler(name: string | undefined, backend: Backend): Promise<Ruler> {
  if (name !== undefined && extname(name) === ".onnx")
    return { known: undefined, open: (imageShape) => openOnnx(name, imageShape, backend) };
  const digits = name === undefined || (digitsNames.includes(name) && findDetector(name) === undefined);
  if (!digits && findDetector(name) === undefined)
    throw new UsageError(
      `--detector must be a folder with detector.json, digits, or a file that ends in .onnx, but is "${name}"; \`guidestar train detector --data DATA --out DIR\` makes one`,
    );
  const known = digits ? await digitsDetector(backend) : await loadDetector(name, backend);
  return { known, open: async () => known };
}

/** The same, for images of one shape. Throws DataError where it was made for others. */
export async function openDetector(
  name: string | undefined,
  imageShape: readonly [number, number, number],
  backend: Backend,
): Promise<Detector> {
  const detector = await (await openRuler(name, backend)).open(imageShape);
  checkFits(detector, { imageShape, classes: [] }, "the data");
  return detector;
}

/**
 * Opens images for a detector, in its size and on its background where nothing else is asked for. Throws DataError where it was made for other
 * images.
 */
export async function openPictures(
  path: string,
  known: DetectorWithReference | undefined,
  { size, ...reading }: Pick<EvaluateValues, "size" | keyof typeof labelOptions>,
  around: Surroundings,
): Promise<Dataset> {
  const { size: ownSize, background: ownBackground } = known?.preprocessing ?? {};
  const { background = ownBackground, ...labels } = labelValues(reading);
  const options = { size: size ?? ownSize, ...labels, background, loose: true };
  const dataset = await openImages(path, undefined, options, around);
  if (!known) return dataset;
  checkFits(known, { ...dataset, classes: tellsClasses(dataset.layout) ? dataset.classes : [] }, path, path);
  const converted = contentWith(dataset, known.imageShape[0] === 1 ? 1 : 3);
  return { ...dataset, ...converted, imageShape: converted.train.shape };
}

const together = 64;

/** Images of splits in batches, shown on the way. */
function* batches(splits: readonly Split[], { shown }: Surroundings): Generator<NDArray<"float32">> {
  const total = splits.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  for (const split of splits)
    for (let start = 0; start < split.count; start += together) {
      const count = Math.min(together, split.count - start);
      yield gather(
        split,
        Array.from({ length: count }, (_, i) => start + i),
      ).x;
      done += count;
      shown.update(done, total, "images seen by the detector");
    }
}

/** What a detector sees in all images of splits. */
export async function see(splits: readonly Split[], detector: Detector, around: Surroundings): Promise<FeatureSet> {
  const seen = await collectFeatures(
    features(batches(splits, around), detector, { batchSize: together, signal: around.signal }),
  );
  around.shown.end();
  return seen;
}
