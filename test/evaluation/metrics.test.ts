import { EventEmitter, once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { bootstrappedMean, deviation } from "../../src/evaluation/metrics/bootstrap.ts";
import { choleskyFactor } from "../../src/evaluation/metrics/cholesky.ts";
import { classAccuracy, inceptionScore } from "../../src/evaluation/metrics/class-scores.ts";
import { eigenvalues } from "../../src/evaluation/metrics/eigenvalues.ts";
import { frechetDistance } from "../../src/evaluation/metrics/frechet.ts";
import { frechetError } from "../../src/evaluation/metrics/frechet-error.ts";
import { kernelDistance } from "../../src/evaluation/metrics/kernel-distance.ts";
import type { Matrix } from "../../src/evaluation/metrics/matrix.ts";
import { timesTransposed } from "../../src/evaluation/metrics/multiply.ts";
import { precisionRecall } from "../../src/evaluation/metrics/precision-recall.ts";
import { type Moments, moments } from "../../src/evaluation/metrics/statistics.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";

const backend = await openBackend({ threads: 1 });
afterAll(() => backend[Symbol.asyncDispose]());

/** Rows of normal numbers; column j has deviation scale(j) and mean `shift`. */
function points(rows: number, columns: number, seed: number, scale = (_: number) => 1, shift = 0): Matrix {
  const data = Float64Array.from(normals(seed, 0, rows * columns), (v, i) => v * scale(i % columns) + shift);
  return { rows, columns, data };
}
const row = ({ columns, data }: Matrix, i: number) => data.subarray(i * columns, (i + 1) * columns);
function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

/** Reflections of the axes, an orthogonal matrix [n, n]: I - 2 u u^T. */
function reflection(n: number): Float64Array {
  const u = normals(5, 0, n);
  const norm = dot(u, u);
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return (i === j ? 1 : 0) - (2 * u[i]! * u[j]!) / norm;
  });
}
/** Q diag(values) Q^T. */
function rotated(values: readonly number[]): Float64Array {
  const n = values.length;
  const q = reflection(n);
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return values.reduce((sum, value, k) => sum + q[i * n + k]! * value * q[j * n + k]!, 0);
  });
}
const of = (covariance: Float64Array, mean = new Float64Array(Math.sqrt(covariance.length))): Moments => ({
  count: 100,
  mean,
  covariance,
});

describe("linear algebra", () => {
  test("products of odd sizes", () => {
    for (const [m, n, length] of [
      [1, 1, 1],
      [5, 3, 7],
      [66, 131, 300],
    ] as const) {
      const [a, b] = [points(m, length, 1), points(n, length, 2)];
      const product = timesTransposed(a, b).data;
      const square = timesTransposed(a, a).data;
      let worst = 0;
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) worst = Math.max(worst, Math.abs(product[i * n + j]! - dot(row(a, i), row(b, j))));
        for (let j = 0; j < m; j++) worst = Math.max(worst, Math.abs(square[i * m + j]! - dot(row(a, i), row(a, j))));
      }
      expect(worst).toBeLessThan(1e-11);
    }
  });

  test("eigenvalues of known matrices, also where most are zero", () => {
    const values = Array.from({ length: 60 }, (_, i) => (i < 40 ? 0 : 1.5 ** (i - 40)));
    const found = Array.from(eigenvalues(rotated(values), 60)).sort((a, b) => a - b);
    for (const [i, value] of values.entries()) expect(Math.abs(found[i]! - value)).toBeLessThan(1e-11);
    const [low, high] = Array.from(eigenvalues(Float64Array.of(2, 0, 1, 2), 2)).sort();
    expect(low).toBeCloseTo(1, 14);
    expect(high).toBeCloseTo(3, 14);
    expect(Array.from(eigenvalues(new Float64Array(9), 3))).toEqual([0, 0, 0]);
  });

  test("a factor gives its matrix back, and knows the rank", () => {
    const values = Array.from({ length: 80 }, (_, i) => (i % 2 ? i : 0));
    const matrix = rotated(values);
    const factor = choleskyFactor(matrix, 80);
    expect(factor.rows).toBe(40);
    const transposed = { rows: 80, columns: 40, data: new Float64Array(80 * 40) };
    for (let i = 0; i < 40; i++) for (let j = 0; j < 80; j++) transposed.data[j * 40 + i] = factor.data[i * 80 + j]!;
    const back = timesTransposed(transposed, transposed).data;
    expect(Math.max(...back.map((value, i) => Math.abs(value - matrix[i]!)))).toBeLessThan(1e-11);
    expect(() => choleskyFactor(Float64Array.of(1, 0, 0, -1), 2)).toThrow(/variance is -1/);
    expect(() => choleskyFactor(Float64Array.of(1, 2, 2, 1), 2)).toThrow(/variance is -3/);
  });
});

describe("moments", () => {
  test("are those of all rows, however they come, with large means", async () => {
    const all = points(1100, 5, 3, (j) => j + 1, 1e6);
    const batches = [0, 1, 2].map((i) => ({
      rows: [400, 1, 699][i]!,
      columns: 5,
      data: all.data.slice([0, 400, 401][i]! * 5, [400, 401, 1100][i]! * 5),
    }));
    const { count, mean, covariance } = await moments(batches, { backend });
    expect(count).toBe(1100);
    const columns = [0, 1, 2, 3, 4].map((c) =>
      Float64Array.from({ length: 1100 }, (_, r) => all.data[r * 5 + c]! - 1e6),
    );
    const centred = columns.map((column) => {
      const average = column.reduce((sum, v) => sum + v, 0) / 1100;
      return { average, deviations: column.map((v) => v - average) };
    });
    for (const [i, { average, deviations }] of centred.entries()) {
      expect(Math.abs(mean[i]! - 1e6 - average)).toBeLessThan(1e-8);
      for (const [j, other] of centred.entries())
        expect(Math.abs(covariance[i * 5 + j]! - dot(deviations, other.deviations) / 1099)).toBeLessThan(1e-9);
    }
  });

  test("refuse what they cannot be of", async () => {
    await expect(moments([points(1, 3, 0)], { backend })).rejects.toThrow(/at least two images but there are 1/);
    await expect(moments([points(2, 3, 0), points(2, 4, 0)], { backend })).rejects.toThrow(DataError);
    const bad = points(3, 2, 0);
    bad.data[3] = Number.NaN;
    await expect(moments([bad], { backend })).rejects.toThrow(/dimension 1 of the features is NaN/);
  });
});

describe("Frechet distance", () => {
  // Covariances with one set of axes: sum of (sqrt a - sqrt b)^2, whatever the axes.
  const a = Array.from({ length: 70 }, (_, i) => 1.2 ** (i % 40));
  const b = Array.from({ length: 70 }, (_, i) => 3 + Math.sin(i));
  const expected = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, i) => sum + (Math.sqrt(value) - Math.sqrt(y[i]!)) ** 2, 0);

  test("of commuting covariances is in closed form", () => {
    const distance = frechetDistance(of(rotated(a)), of(rotated(b)));
    expect(Math.abs(distance / expected(a, b) - 1)).toBeLessThan(1e-11);
  });

  test("is the same where most variances are zero", () => {
    const few = b.map((value, i) => (i % 10 === 0 ? value : 0));
    const none = a.map((value, i) => (i % 3 === 0 ? value : 0));
    for (const other of [few, none]) {
      const distance = frechetDistance(of(rotated(a)), of(rotated(other)));
      expect(Math.abs(distance / expected(a, other) - 1)).toBeLessThan(1e-9);
    }
    expect(Math.abs(frechetDistance(of(rotated(few)), of(rotated(none))) / expected(few, none) - 1)).toBeLessThan(1e-9);
  });

  test("adds the squared distance of the means, and is zero from a set to itself", () => {
    const covariance = rotated(a);
    const shifted = new Float64Array(70).fill(0.5);
    expect(frechetDistance(of(covariance, shifted), of(covariance.slice()))).toBeCloseTo(70 / 4, 8);
    expect(frechetDistance(of(covariance), of(covariance.slice()))).toBeLessThan(1e-9);
  });

  test("of one dimension, and of different widths", () => {
    expect(frechetDistance(of(Float64Array.of(4)), of(Float64Array.of(9)))).toBeCloseTo(1, 12);
    expect(() => frechetDistance(of(rotated(a)), of(rotated(a.slice(1))))).toThrow(/70 and of 69 dimensions/);
  });

  test.each([
    ["covariances", 500, 8],
    ["products between images", 150, 60],
  ])("its error, from %s, is how much sets of samples differ", async (_, rows, columns) => {
    const reference = await moments([points(4000, columns, 99)], { backend });
    const sets = Array.from({ length: 24 }, (_, seed) => points(rows, columns, seed, () => 1.3, 0.2));
    const distances: number[] = [];
    for (const set of sets) distances.push(frechetDistance(await moments([set], { backend }), reference));
    const errors = sets.slice(0, 4).map((set) => frechetError(set, reference));
    const mean = errors.reduce((sum, error) => sum + error, 0) / 4;
    // Both are deviations of a few dozen numbers: a quarter off at most, and then some.
    expect(mean / deviation(distances)).toBeGreaterThan(0.6);
    expect(mean / deviation(distances)).toBeLessThan(1.7);
  });
});

describe("precision and recall", () => {
  const naive = (reference: Matrix, samples: Matrix, k: number) => {
    const radius = (set: Matrix, i: number) =>
      Float64Array.from({ length: set.rows }, (_, j) => squaredDistance(row(set, i), row(set, j))).sort()[k]!;
    const share = (inside: Matrix, of: Matrix) => {
      const radii = Array.from({ length: of.rows }, (_, i) => radius(of, i));
      const hits = Array.from({ length: inside.rows }, (_, i) =>
        radii.some((r, j) => squaredDistance(row(inside, i), row(of, j)) <= r),
      );
      return hits.filter(Boolean).length / inside.rows;
    };
    return { precision: share(samples, reference), recall: share(reference, samples) };
  };

  test("are those of all pairs, one after the other, also far from the origin", async () => {
    for (const [k, shift] of [
      [1, 0],
      [3, 1000],
    ] as const) {
      const reference = points(90, 6, 1, (j) => 1 + j, shift);
      const samples = points(70, 6, 2, (j) => 0.8 + j / 2, shift + 0.5);
      const found = await precisionRecall(reference, samples, { k, backend });
      const expected = naive(reference, samples, k);
      expect(found.precision.value).toBe(expected.precision);
      expect(found.recall.value).toBe(expected.recall);
      expect(expected.recall).toBeGreaterThan(0.1);
      expect(expected.recall).toBeLessThan(0.9);
    }
  });

  test("span several blocks", async () => {
    const reference = points(2100, 2, 1);
    const samples = points(300, 2, 2, () => 1.5);
    const found = await precisionRecall(reference, samples, { backend });
    const expected = naive(reference, samples, 3);
    expect(found.precision.value).toBe(expected.precision);
    expect(found.recall.value).toBe(expected.recall);
  });

  test("of copies are one, and apart none", async () => {
    const set = points(20, 3, 1);
    const { precision, recall } = await precisionRecall(set, { ...set, data: set.data.slice() }, { backend });
    expect([precision.value, recall.value, precision.error]).toEqual([1, 1, 0]);
    const far = await precisionRecall(
      set,
      points(20, 3, 2, () => 1, 50),
      { backend },
    );
    expect([far.precision.value, far.recall.value]).toEqual([0, 0]);
  });

  test("an engine that fails is an error, and no rejection that nobody hears", async () => {
    let runs = 0;
    const events = new EventEmitter();
    const bothRun = once(events, "second run");
    const failing: Backend = {
      ...backend,
      load: async () => ({
        run: async () => {
          if (++runs === 2) events.emit("second run");
          await bothRun;
          throw new Error("out of memory");
        },
        readState: async () => new Map(),
        async [Symbol.asyncDispose]() {},
      }),
    };
    const unheard: unknown[] = [];
    const hear = (reason: unknown) => unheard.push(reason);
    process.on("unhandledRejection", hear);
    const set = points(5000, 2, 1);
    await expect(precisionRecall(set, set, { backend: failing })).rejects.toThrow("out of memory");
    // Rejections that nobody hears are told of before the event loop turns.
    await setImmediate();
    process.off("unhandledRejection", hear);
    expect({ runs, unheard }).toEqual({ runs: 2, unheard: [] });
  });

  test("refuse too few images, other widths and what is no number", async () => {
    const set = points(4, 3, 1);
    await expect(precisionRecall(set, points(3, 3, 2), { backend })).rejects.toThrow(/take at least 4/);
    await expect(precisionRecall(set, points(4, 2, 2), { backend })).rejects.toThrow(/3 dimensions but .* have 2/);
    const bad = points(4, 3, 1);
    bad.data[7] = Number.NaN;
    await expect(precisionRecall(set, bad, { backend })).rejects.toThrow(/samples: dimension 1 of row 2 is NaN/);
  });
});

describe("kernel distance", () => {
  test("is that of all pairs of different images", async () => {
    const [x, y] = [points(40, 5, 1, () => 1, 3), points(30, 5, 2, () => 1.2, 3)];
    const kernel = (a: ArrayLike<number>, b: ArrayLike<number>) => (dot(a, b) / 5 + 1) ** 3;
    const mean = (a: Matrix, b: Matrix) => {
      let [sum, pairs] = [0, 0];
      for (let i = 0; i < a.rows; i++)
        for (let j = 0; j < b.rows; j++)
          if (a !== b || i !== j) {
            sum += kernel(row(a, i), row(b, j));
            pairs++;
          }
      return sum / pairs;
    };
    const expected = mean(x, x) + mean(y, y) - 2 * mean(x, y);
    const { value, error } = await kernelDistance(x, y, { backend });
    expect(Math.abs(value / expected - 1)).toBeLessThan(1e-5);
    expect(error).toBeGreaterThan(0);
    // Between a set and itself pairs of an image with itself count.
    const all = x.rows;
    const itself = Array.from({ length: all }, (_, i) => kernel(row(x, i), row(x, i))).reduce((sum, k) => sum + k, 0);
    const same = await kernelDistance(x, x, { backend });
    const between = (mean(x, x) * (all * (all - 1)) + itself) / all ** 2;
    expect(Math.abs(same.value / (2 * mean(x, x) - 2 * between) - 1)).toBeLessThan(1e-5);
  });

  test("of equal distributions is zero within its error, and not of others", async () => {
    const x = points(2100, 4, 1);
    const same = await kernelDistance(x, points(500, 4, 2), { backend });
    expect(Math.abs(same.value)).toBeLessThan(3 * same.error);
    const other = await kernelDistance(
      x,
      points(500, 4, 2, () => 1, 0.4),
      { backend, most: 600 },
    );
    expect(other.value).toBeGreaterThan(4 * other.error);
    await expect(kernelDistance(x, points(1, 4, 2), { backend })).rejects.toThrow(/at least two samples/);
  });
});

describe("scores of classes", () => {
  const table = (rows: readonly (readonly number[])[]): Matrix => ({
    rows: rows.length,
    columns: rows[0]!.length,
    data: Float64Array.from(rows.flat()),
  });
  const oneHot = [0, 1, 2, 3].map((k) => [0, 1, 2, 3].map((j) => (j === k ? 1 : 0)));

  test("the inception score is the number of classes where they are sure and even, and one where nothing is told", () => {
    expect(inceptionScore(table(oneHot)).value).toBeCloseTo(4, 12);
    expect(inceptionScore(table(new Array(5).fill([0.25, 0.5, 0.25]))).value).toBeCloseTo(1, 12);
  });

  test("accuracy counts, and its error is that of a share", () => {
    const rows = Array.from({ length: 400 }, (_, i) => oneHot[i % 4]!);
    const labels = rows.map((_, i) => (i % 10 === 0 ? (i + 1) % 4 : i % 4));
    const { value, error } = classAccuracy(table(rows), labels);
    expect(value).toBeCloseTo(0.9, 12);
    expect(error / Math.sqrt((0.9 * 0.1) / 400)).toBeGreaterThan(0.75);
    expect(error / Math.sqrt((0.9 * 0.1) / 400)).toBeLessThan(1.25);
  });

  test("refuse what is no distribution", () => {
    expect(() => inceptionScore(table([[0.5, 0.6]]))).toThrow(/sums to 1.1/);
    expect(() => inceptionScore(table([[1.5, -0.5]]))).toThrow(/holds -0.5/);
    expect(() => inceptionScore(table([[Number.NaN, 1]]))).toThrow(/holds NaN/);
    expect(() => classAccuracy(table([[1, 0]]), [2])).toThrow(/label 2/);
    expect(() => classAccuracy(table([[1, 0]]), [0, 1])).toThrow(/2 labels of 1 image/);
  });
});

test("a bootstrapped mean has the error of a mean, and the seed decides it", () => {
  const values = normals(1, 0, 1000);
  const { value, error } = bootstrappedMean(values, 0, { replicates: 400 });
  expect(value).toBeCloseTo(values.reduce((sum, v) => sum + v, 0) / 1000, 12);
  expect(error / (deviation(values) / Math.sqrt(1000))).toBeGreaterThan(0.85);
  expect(error / (deviation(values) / Math.sqrt(1000))).toBeLessThan(1.15);
  expect(bootstrappedMean(values, 0, { seed: 1 }).error).not.toBe(bootstrappedMean(values, 0).error);
  expect(bootstrappedMean(values, 0).error).toBe(bootstrappedMean(values, 0).error);
});
