import { afterAll, describe, expect, test } from "vitest";
import { DataError, ModelError } from "../../src/errors.ts";
import {
  type DetectorDeclaration,
  parseDeclaration,
  resizeMatrix,
} from "../../src/evaluation/detectors/declaration.ts";
import { onnxDetector } from "../../src/evaluation/detectors/onnx-detector.ts";
import { evaluate } from "../../src/evaluation/evaluate.ts";
import { collectFeatures, features } from "../../src/evaluation/features.ts";
import { featuresFrom, featuresNpz, statisticsFrom, statisticsNpz } from "../../src/evaluation/files.ts";
import { statistics } from "../../src/evaluation/metrics/statistics.ts";
import { readNpz, writeNpz } from "../../src/formats/npz.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { emit } from "../../src/onnx/emit.ts";
import { lower } from "../../src/onnx/lower.ts";
import { normals } from "../../src/random.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { f32, trace } from "../../src/tensor/trace.ts";

const backend = await openBackend({ threads: 1 });
afterAll(() => backend[Symbol.asyncDispose]());

/** An ONNX file that gives its own input as features, its channels' means as logits, and [N, C, H, W] as spatial features. */
function echo(batch: number, ...shape: number[]): Uint8Array {
  const size = shape.reduce((a, b) => a * b, 1);
  const graph = trace({ pixels: f32(batch, ...shape) }, ({ pixels }) => ({
    pool: pixels.reshape(batch, size).mul(1),
    map: pixels.mul(2),
    scores: pixels.reshape(batch, shape[0]!, -1).mean([2]),
  }));
  return emit(lower(graph), { weights: "inside", nameOutput: (name) => name }).bytes;
}
const declare = (rest: object): DetectorDeclaration =>
  parseDeclaration(JSON.stringify({ input: "pixels", features: "pool", batchSize: 2, ...rest }), "d.json");
const look = async (bytes: Uint8Array, rest: object, images: NDArray<"float32">) => {
  const imageShape = images.shape.slice(1) as [number, number, number];
  await using detector = await onnxDetector({ name: "echo", bytes, declaration: declare(rest), imageShape, backend });
  return await collectFeatures(features(images, detector, { batchSize: 3 }));
};
/** Pixels 0, 51, ..., 255 as values. */
const ramp = (...shape: number[]) =>
  float32(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i % 6) * 51) / 127.5 - 1),
  );

describe("a detector of an ONNX file", () => {
  test("gets what is declared: range, mean, deviation, channels; any number of images", async () => {
    const images = ramp(5, 1, 2, 3);
    const seen = await look(
      echo(2, 3, 2, 3),
      { range: [0, 255], mean: [5, 0, 1], std: [1, 2, 10], logits: "scores", spatial: "map" },
      images,
    );
    expect([seen.features.rows, seen.features.columns, seen.spatial!.columns]).toEqual([5, 18, 18]);
    const pixels = [0, 51, 102, 153, 204, 255];
    const expected = [...pixels.map((v) => v - 5), ...pixels.map((v) => v / 2), ...pixels.map((v) => (v - 1) / 10)];
    for (let i = 0; i < 5; i++)
      for (const [j, value] of expected.entries()) {
        expect(seen.features.data[i * 18 + j]).toBeCloseTo(value, 3);
        expect(seen.spatial!.data[i * 18 + j]).toBeCloseTo(2 * value, 3);
      }
    // softmax of the channels' means: 122.5, 63.75, 12.65
    expect(seen.probabilities!.data[3]).toBeCloseTo(1, 6);
    expect(seen.probabilities!.data[4]).toBeLessThan(1e-6);
  });

  test("batchSize by its earlier name", () => {
    const declaration = { input: "x", features: "pool", batch: 7 };
    expect(parseDeclaration(JSON.stringify(declaration), "d.json").batchSize).toBe(7);
  });

  test("layout NHWC, grey from colour", async () => {
    const colour = float32([1, 3, 1, 2], [-1, 1, -1, 1, -1, 0.5]);
    expect(
      Array.from((await look(echo(2, 1, 2, 3), { layout: "NHWC", range: [-1, 1] }, colour)).features.data),
    ).toEqual([-1, -1, -1, 1, 1, 0.5]);
    const grey = await look(echo(2, 1, 1, 2), { channels: 1, range: [-1, 1] }, colour);
    expect(grey.features.data[0]).toBeCloseTo(-1, 6);
    expect(grey.features.data[1]).toBeCloseTo(2.5 / 3, 6);
  });

  test("resizes: a ramp stays a ramp, at the positions that are declared", async () => {
    const images = float32([1, 1, 1, 4], [-0.6, -0.2, 0.2, 0.6]);
    const wide = await look(echo(2, 1, 1, 8), { channels: 1, range: [-1, 1], size: [1, 8] }, images);
    const expected = [-0.6, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.6];
    for (const [i, value] of expected.entries()) expect(wide.features.data[i]).toBeCloseTo(value, 6);
    const first = await look(
      echo(2, 1, 1, 8),
      { channels: 1, range: [-1, 1], size: [1, 8], resize: "asymmetric" },
      images,
    );
    const early = [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6, 0.6];
    for (const [i, value] of early.entries()) expect(first.features.data[i]).toBeCloseTo(value, 6);
    expect(Array.from(resizeMatrix(3, 3, "half-pixel"))).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  });

  test("that does not fit its file is refused before any image comes", async () => {
    const images = ramp(2, 1, 2, 3);
    const bytes = echo(2, 3, 2, 3);
    await expect(look(bytes, { input: "image" }, images)).rejects.toThrow(ModelError);
    await expect(look(bytes, { features: "pool_3" }, images)).rejects.toThrow(/echo: cannot be run as declared/);
    await expect(look(bytes, { size: 7 }, images)).rejects.toThrow(ModelError);
    await expect(look(bytes, { mean: [1, 2] }, images)).rejects.toThrow(/"mean" has 2 numbers/);
    await expect(look(new Uint8Array(100), {}, images)).rejects.toThrow(ModelError);
    expect(() => parseDeclaration("{", "d.json")).toThrow(/d.json: .*JSON/);
    expect(() => declare({ layout: "CHWN" })).toThrow(/"layout"/);
    expect(() => declare({ colour: 1 })).toThrow(/colour/);
  });

  test("gets no image that holds what is no number", async () => {
    const images = ramp(5, 3, 2, 3);
    images.data[40] = Number.NaN;
    await expect(look(echo(2, 3, 2, 3), {}, images)).rejects.toThrow(/image 2 holds NaN/);
  });
});

describe("files", () => {
  const set = {
    features: { rows: 4, columns: 3, data: normals(1, 0, 12) },
    spatial: { rows: 4, columns: 2, data: normals(2, 0, 8) },
    probabilities: { rows: 4, columns: 2, data: Float32Array.of(0.5, 0.5, 1, 0, 0, 1, 0.25, 0.75) },
  };

  test("of features and of statistics come back as they were", async () => {
    expect(featuresFrom(readNpz(featuresNpz(set)), "f.npz")).toEqual(set);
    const [features, spatial] = [float32([4, 3], set.features.data), float32([4, 2], set.spatial.data)];
    const known = await statistics([{ features, spatial }], { backend });
    expect(Object.keys(readNpz(statisticsNpz(known)))).toEqual(["mu", "sigma", "mu_s", "sigma_s", "count"]);
    expect(statisticsFrom(readNpz(statisticsNpz(known)), "s.npz")).toEqual({
      ...known,
      spatial: { ...known.spatial!, count: 4 },
    });
  });

  test("that hold something else are refused", () => {
    const array = (shape: number[], data: Float64Array) => ({ dtype: "float64", shape, data }) as const;
    const nan = array([2, 2], Float64Array.of(1, 2, Number.NaN, 3));
    expect(() => featuresFrom(readNpz(writeNpz({ a: nan })), "f.npz")).toThrow(/f.npz: "a": row 1 holds NaN/);
    expect(() => featuresFrom(readNpz(writeNpz({ a: array([4], new Float64Array(4)) })), "f")).toThrow(DataError);
    const images = { dtype: "uint8", shape: [1, 2, 2, 1], data: new Uint8Array(4) } as const;
    expect(() => featuresFrom(readNpz(writeNpz({ arr_0: images })), "f")).toThrow(/holds images/);
    const mu = array([2], new Float64Array(2));
    const skewed = array([2, 2], Float64Array.of(1, 0, 1, 1));
    expect(() => statisticsFrom({ mu, sigma: skewed }, "s")).toThrow(/not symmetric/);
    expect(() => statisticsFrom({ mu, sigma: array([2, 1], new Float64Array(2)) }, "s")).toThrow(/\[D, D\]/);
    expect(() => statisticsFrom({ mu, sigma: nan }, "s")).toThrow(/not finite/);
  });
});

test("evaluate gives what it can, and warns where the count biases it", async () => {
  const rows = (count: number, seed: number) => ({ rows: count, columns: 4, data: normals(seed, 0, 4 * count) });
  const { warnings, counts, leftOut, ...metrics } = await evaluate(
    { features: rows(60, 1) },
    { features: rows(50, 2) },
    { backend },
  );
  expect(Object.keys(metrics)).toEqual(["fid", "precision", "recall", "kid"]);
  expect([counts, warnings, leftOut]).toEqual([{ samples: 60, reference: 50, referenceFeatures: 50 }, [], []]);
  const few = await evaluate({ features: rows(39, 1) }, { features: rows(50, 2) }, { backend });
  expect(few.warnings.join()).toMatch(/^39 images are few for features of 4 dimensions: .* at least 40 images/);
  const { mean, covariance } = { mean: new Float64Array(4), covariance: new Float64Array(16) };
  const known = { statistics: { count: undefined, mean, covariance } };
  const { fid, precision } = await evaluate({ features: rows(60, 1) }, known, { backend });
  expect(precision).toBeUndefined();
  expect(fid!.value).toBeGreaterThan(3);
});
