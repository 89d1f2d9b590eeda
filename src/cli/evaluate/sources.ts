import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { gather } from "../../data/batches.ts";
import type { Split } from "../../data/content.ts";
import type { Dataset } from "../../data/dataset.ts";
import { DataError, ModelError, UsageError } from "../../errors.ts";
import { parseDeclaration } from "../../evaluation/detectors/declaration.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { digitsDetector } from "../../evaluation/detectors/digits.ts";
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

/** The detector that an option names, for images of a shape. The name of one from a file tells it from others of the same file name. */
export async function openDetector(
  name: string,
  imageShape: readonly [number, number, number],
  backend: Backend,
): Promise<Detector> {
  if (name === "bundled") return digitsDetector(backend);
  if (extname(name) !== ".onnx")
    throw new UsageError(`--detector must be bundled, or a file that ends in .onnx, but is "${name}"`);
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

/** Opens images for a detector: the bundled one takes one size, others any. */
export async function openPictures(
  path: string,
  { detector, size, ...reading }: Pick<EvaluateValues, "detector" | "size" | keyof typeof labelOptions>,
  around: Surroundings,
): Promise<Dataset> {
  const channels = detector === "bundled" ? 1 : undefined;
  const dataset = await openImages(path, undefined, { size, channels, ...labelValues(reading), loose: true }, around);
  const [, height, width] = dataset.imageShape;
  if (detector === "bundled" && (height !== 28 || width !== 28))
    throw new DataError(
      `${path}: the images are ${width}x${height} but the bundled detector sees digits of 28x28; give --size 28 to resize them, or another --detector`,
    );
  return dataset;
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
