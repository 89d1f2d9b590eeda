import { DataError } from "../errors.ts";
import { float32, type NDArray, sizeOf } from "../ndarray.ts";
import type { Detector, Observation } from "./detectors/detector.ts";
import { type Matrix, matrixOf } from "./metrics/matrix.ts";

/** Images [N, C, H, W] in [-1, 1], all at once or in batches. */
export type Images = NDArray<"float32"> | AsyncIterable<NDArray<"float32">> | Iterable<NDArray<"float32">>;

/** Settings of `features`. */
export interface FeatureOptions {
  /** Most images at a time. Default 64. */
  readonly batchSize?: number;
  /** Ends the work before the next batch: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * What a detector sees in images, batch by batch, in order.
 *
 * @throws DataError where an image holds a number that is not finite
 */
export async function* features(
  images: Images,
  detector: Detector,
  { batchSize = 64, signal }: FeatureOptions = {},
): AsyncGenerator<Observation, void, undefined> {
  let first = 0;
  for await (const { shape, data } of "dtype" in images ? [images] : images) {
    const [count = 0, ...rest] = shape;
    const size = sizeOf(rest);
    for (let start = 0; start < count; start += batchSize) {
      signal?.throwIfAborted();
      const part = data.subarray(start * size, (start + batchSize) * size);
      const bad = part.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0)
        throw new DataError(
          `image ${first + start + Math.floor(bad / size)} holds ${part[bad]}; expected pixels from -1 to 1`,
        );
      yield await detector.observe(float32([part.length / size, ...rest], part));
    }
    first += count;
  }
}

/** What was seen in all images, kept: a row for each. */
export interface FeatureSet {
  /** [N, D] */
  readonly features: Matrix;
  /** [N, S] */
  readonly spatial?: Matrix;
  /** [N, K] */
  readonly probabilities?: Matrix;
}

/** Puts the batches of `features` below each other. Throws DataError where there are none. */
export async function collectFeatures(
  observations: AsyncIterable<Observation> | Iterable<Observation>,
): Promise<FeatureSet> {
  const parts: Observation[] = [];
  for await (const observation of observations) parts.push(observation);
  if (parts.length === 0) throw new DataError("there are no images to look at");
  const joined = (key: keyof Observation): Matrix | undefined => {
    const arrays = parts.flatMap((part) => part[key] ?? []);
    if (arrays.length < parts.length) return undefined;
    const rows = arrays.reduce((sum, { shape }) => sum + shape[0]!, 0);
    const data = new Float32Array(arrays.reduce((sum, array) => sum + array.data.length, 0));
    let at = 0;
    for (const array of arrays) {
      data.set(array.data, at);
      at += array.data.length;
    }
    return matrixOf(float32([rows, data.length / rows], data));
  };
  const [spatial, probabilities] = [joined("spatial"), joined("probabilities")];
  return { features: joined("features")!, ...(spatial && { spatial }), ...(probabilities && { probabilities }) };
}
