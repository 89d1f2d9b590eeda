// Samples that copy training images, and samples that don't, from distributions that are known.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { copiesAmong, copyDetector } from "../../src/evaluation/copying.ts";
import { pixelDetector } from "../../src/evaluation/detectors/pixel-detector.ts";
import type { Matrix } from "../../src/evaluation/metrics/matrix.ts";
import { nearestRows } from "../../src/evaluation/metrics/nearest.ts";
import { centreOf } from "../../src/evaluation/metrics/products.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const columns = 12;
const drawn = (rows: number, seed: number): Matrix => ({ rows, columns, data: normals(seed, 0, rows * columns) });
/** Some rows of a set with noise on them. */
const copied = ({ data, rows }: Matrix, count: number, noise: number): Matrix => {
  const noises = normals(99, 0, count * columns);
  const at = (i: number): number => ((i * 7) % rows) * columns;
  return {
    ...{ rows: count, columns },
    data: Float32Array.from(noises, (z, i) => data[at(Math.floor(i / columns)) + (i % columns)]! + noise * z),
  };
};

test("nearest rows are those that comparing all with all finds", async () => {
  const [points, among] = [drawn(40, 1), drawn(70, 2)];
  const squaredTo = (a: Matrix, i: number, b: Matrix, j: number): number =>
    Array.from({ length: columns }, (_, c) => (a.data[i * columns + c]! - b.data[j * columns + c]!) ** 2).reduce(
      (x, y) => x + y,
    );
  for (const others of [among, undefined]) {
    const found = await nearestRows(points, others, 3, { backend, centre: centreOf(points, "points") });
    for (let i = 0; i < points.rows; i++) {
      const all = Array.from({ length: (others ?? points).rows }, (_, j) => ({
        j,
        squared: squaredTo(points, i, others ?? points, j),
      }))
        .filter(({ j }) => others || j !== i)
        .sort((a, b) => a.squared - b.squared)
        .slice(0, 3);
      expect([...found.index.slice(3 * i, 3 * i + 3)]).toEqual(all.map(({ j }) => j));
      for (const [n, { squared }] of all.entries()) expect(found.squared[3 * i + n]).toBeCloseTo(squared, 10);
    }
  }
});

describe("copies", () => {
  const training = drawn(300, 1);

  test.each([
    ["held-out images", drawn(400, 2)],
    ["training images among each other", undefined],
  ])("are rare among new draws of the same distribution, by %s", async (_, heldOut) => {
    const detector = (await copyDetector(training, heldOut, { backend }))!;
    expect(detector).toMatchObject({ real: heldOut?.rows ?? 300, heldOut: heldOut !== undefined });
    const { share, copying } = await copiesAmong(drawn(1000, 3), detector, { backend });
    // 5% by construction, up to the error of the quantiles of so few.
    expect(share).toBeGreaterThan(0.01);
    expect(share).toBeLessThan(0.09);
    expect(copying).toBe(false);
  });

  test("are found, noisy ones too, beside the image that they copy", async () => {
    const detector = (await copyDetector(training, undefined, { backend }))!;
    for (const noise of [0, 0.1, 0.4]) {
      const { share, copying, pairs } = await copiesAmong(copied(training, 50, noise), detector, { backend });
      expect(share).toBeGreaterThan(0.9);
      expect(copying).toBe(true);
      if (noise < 0.2) expect(pairs.map((pair) => pair.training)).toEqual(pairs.map((_, i) => (i * 7) % 300));
    }
  });

  test("a mixture of the two is told by its share", async () => {
    const detector = (await copyDetector(training, undefined, { backend }))!;
    const [half, rest] = [copied(training, 100, 0.05), drawn(300, 3)];
    const mixed = { rows: 400, columns, data: Float32Array.from([...half.data, ...rest.data]) };
    const { share, copying } = await copiesAmong(mixed, detector, { backend });
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.32);
    expect(copying).toBe(true);
  });

  test("blurred pictures, which are near to many, are none", async () => {
    const detector = (await copyDetector(training, undefined, { backend }))!;
    const means = { rows: 50, columns, data: normals(4, 0, 50 * columns).map((z) => 0.2 * z) };
    // Nearer than real images are to each other, so the distance alone would take some for copies.
    expect((await copiesAmong(means, detector, { backend })).share).toBeLessThan(0.2);
  });

  test("images that are there twice don't make every sample a copy, nor hide real ones", async () => {
    const twice = { rows: 600, columns, data: Float32Array.from([...training.data, ...training.data]) };
    const detector = (await copyDetector(twice, undefined, { backend }))!;
    expect((await copiesAmong(drawn(200, 3), detector, { backend })).share).toBe(0);
    const once = (await copyDetector(twice, drawn(400, 2), { backend }))!;
    expect((await copiesAmong(copied(training, 50, 0.02), once, { backend })).share).toBe(1);
  });

  test("by ten images", async () => {
    const ten = drawn(10, 5);
    const detector = (await copyDetector(ten, undefined, { backend }))!;
    expect(detector.expected).toBeCloseTo(2 / 11, 10);
    expect((await copiesAmong(copied(ten, 20, 0.3), detector, { backend })).copying).toBe(true);
    for (const seed of [6, 7, 8])
      expect((await copiesAmong(drawn(20, seed), detector, { backend })).copying).toBe(false);
  });

  test("cannot be told by fewer than three, nor by other features", async () => {
    expect(await copyDetector(drawn(2, 1), undefined, { backend })).toBeUndefined();
    const detector = (await copyDetector(training, undefined, { backend }))!;
    await expect(
      copiesAmong({ rows: 2, columns: 3, data: new Float32Array(6) }, detector, { backend }),
    ).rejects.toThrow(DataError);
  });
});

test("pixels as features: means over parts, and the root of the mean squared difference", async () => {
  const shape = [3, 20, 48] as const;
  await using detector = await pixelDetector({ imageShape: shape, backend, batchSize: 2 });
  const area = 20 * 48;
  // A slope from left to right, and the same a little lighter.
  const x = float32(
    [3, ...shape],
    Float32Array.from({ length: 9 * area }, (_, i) => (i % 48) / 48 - 0.5 + 0.1 * Math.floor(i / (3 * area))),
  );
  const { features } = await detector.observe(x);
  const [width, height] = [16, 7];
  expect(features.shape).toEqual([3, 3 * width * height]);
  const scale = Math.sqrt(3 * width * height);
  // Three columns make one: their mean.
  for (const column of [0, 5, 15]) expect(features.data[column]! * scale).toBeCloseTo((3 * column + 1) / 48 - 0.5, 5);
  const distance = (a: number, b: number): number =>
    Math.hypot(
      ...Array.from(
        { length: detector.width },
        (_, i) => features.data[a * detector.width + i]! - features.data[b * detector.width + i]!,
      ),
    );
  expect(distance(0, 1)).toBeCloseTo(0.1, 5);
  expect(distance(0, 2)).toBeCloseTo(0.2, 5);
});
