import { counted } from "../counted.ts";
import { DataError } from "../errors.ts";
import type { NumpyArray } from "../formats/npy.ts";
import { writeNpz } from "../formats/npz.ts";
import type { FeatureSet } from "./features.ts";
import type { Matrix } from "./metrics/matrix.ts";
import type { Moments, Statistics } from "./metrics/statistics.ts";

/*
 * Features and statistics as `.npz` files. Statistics have the names of the reference's evaluator: `mu`, `sigma`, and of spatial
 * features `mu_s`, `sigma_s`; ours add `count`.
 */

/** Arrays of an npz file by name. */
export type Arrays = Readonly<Record<string, NumpyArray>>;

/** Whether an archive holds statistics, and not features or images. */
export const isStatistics = (arrays: Arrays): boolean => "mu" in arrays && "sigma" in arrays;

const asNumbers = ({ dtype, data }: NumpyArray, what: string): Float32Array | Float64Array => {
  if (dtype === "string" || dtype === "bool") throw new DataError(`${what}: expected numbers but it is ${dtype}`);
  return data instanceof Float32Array || data instanceof Float64Array
    ? data
    : Float64Array.from(data as ArrayLike<number | bigint>, Number);
};

/** The rows of an array [N, ...]. Throws DataError unless they are numbers, and all finite. `what` is for errors. */
export function rowsOf(array: NumpyArray, what: string): Matrix {
  const data = asNumbers(array, what);
  const [rows = 0, ...rest] = array.shape;
  if (rest.length === 0 || data.length === 0)
    throw new DataError(`${what}: expected rows of numbers [N, D], one for each image, but it is [${array.shape}]`);
  const columns = data.length / rows;
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new DataError(
      `${what}: row ${Math.floor(bad / columns)} holds ${data[bad]} in dimension ${bad % columns}; expected finite numbers`,
    );
  return { rows, columns, data };
}

/** Features of an archive: its first array; and, where it has them, `spatial` and `probabilities`. Throws DataError as `rowsOf` does. */
export function featuresFrom(arrays: Arrays, what: string): FeatureSet {
  const [first] = Object.entries(arrays);
  if (!first) throw new DataError(`${what}: expected an array of features [N, D] but the archive is empty`);
  const [name, array] = first;
  if (array.dtype === "uint8" && array.shape.length === 4)
    throw new DataError(
      `${what}: "${name}" holds images, not features; give it as SAMPLES or with --reference, so that a detector looks at them`,
    );
  const features = rowsOf(array, `${what}: "${name}"`);
  const others = (["spatial", "probabilities"] as const).flatMap((key) => {
    const other = key === name ? undefined : arrays[key];
    if (!other) return [];
    const matrix = rowsOf(other, `${what}: "${key}"`);
    if (matrix.rows !== features.rows)
      throw new DataError(
        `${what}: there are features of ${counted(features.rows, "image")} but ${counted(matrix.rows, "row")} of "${key}"`,
      );
    return [[key, matrix] as const];
  });
  return { features, ...Object.fromEntries(others) };
}

/** Features as a file that `featuresFrom` and numpy read. */
export function featuresNpz({ features, spatial, probabilities }: FeatureSet): Uint8Array {
  const array = ({ rows, columns, data }: Matrix) => {
    const shape = [rows, columns];
    return data instanceof Float32Array
      ? ({ dtype: "float32", shape, data } as const)
      : ({ dtype: "float64", shape, data } as const);
  };
  return writeNpz({
    features: array(features),
    ...(spatial && { spatial: array(spatial) }),
    ...(probabilities && { probabilities: array(probabilities) }),
  });
}

function momentsFrom(arrays: Arrays, ending: string, count: number | undefined, what: string): Moments {
  const [mu, sigma] = [arrays[`mu${ending}`], arrays[`sigma${ending}`]];
  if (!mu || !sigma) throw new DataError(`${what}: expected both "mu${ending}" and "sigma${ending}"`);
  const [mean, covariance] = [asNumbers(mu, `${what}: "mu"`), asNumbers(sigma, `${what}: "sigma"`)];
  const width = mean.length;
  if (mu.shape.length !== 1 || sigma.shape.join() !== `${width},${width}`)
    throw new DataError(
      `${what}: expected mu${ending} [D] and sigma${ending} [D, D] but they are [${mu.shape}] and [${sigma.shape}]`,
    );
  if (![...mean, ...covariance].every(Number.isFinite))
    throw new DataError(`${what}: holds numbers that are not finite`);
  let largest = 0;
  for (const value of covariance) largest = Math.max(largest, Math.abs(value));
  for (let i = 0; i < width; i++)
    for (let j = 0; j < i; j++)
      if (!(Math.abs(covariance[i * width + j]! - covariance[j * width + i]!) <= 1e-6 * largest))
        throw new DataError(`${what}: sigma${ending} is not symmetric at [${i}, ${j}], so it is no covariance`);
  return { count, mean: Float64Array.from(mean), covariance: Float64Array.from(covariance) };
}

/** Statistics of an archive: `mu`, `sigma`, perhaps `mu_s`, `sigma_s` and `count`. Throws DataError where they are no statistics. */
export function statisticsFrom(arrays: Arrays, what: string): Statistics {
  const count = arrays.count ? Number(arrays.count.data[0]) : undefined;
  const plain = momentsFrom(arrays, "", count, what);
  return "mu_s" in arrays ? { ...plain, spatial: momentsFrom(arrays, "_s", count, what) } : plain;
}

/** Statistics as a file that `statisticsFrom` and the reference's evaluator read. */
export function statisticsNpz({ spatial, ...plain }: Statistics): Uint8Array {
  const arrays = ({ mean, covariance }: Moments, ending: string) => ({
    [`mu${ending}`]: { dtype: "float64", shape: [mean.length], data: mean } as const,
    [`sigma${ending}`]: { dtype: "float64", shape: [mean.length, mean.length], data: covariance } as const,
  });
  return writeNpz({
    ...arrays(plain, ""),
    ...(spatial && arrays(spatial, "_s")),
    ...(plain.count !== undefined && {
      count: { dtype: "int32", shape: [1], data: Int32Array.of(plain.count) } as const,
    }),
  });
}
