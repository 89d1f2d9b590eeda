import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Detector } from "../../src/evaluation/detectors/detector.ts";
import { digitsDetector } from "../../src/evaluation/detectors/digits.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";

/** A seven and a one, 28x28: strokes drawn here, so that nothing but the network is tested. */
function drawn(digit: 1 | 7): Float32Array {
  const x = new Float32Array(784).fill(-1);
  const dot = (row: number, column: number): void => {
    for (const [dy, dx] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const)
      x[(row + dy) * 28 + column + dx] = 1;
  };
  for (let i = 0; i < 18; i++) dot(5 + i, digit === 7 ? Math.round(19 - i / 2.2) : 13);
  if (digit === 7) for (let column = 8; column < 20; column++) dot(5, column);
  return x;
}

describe("digitsDetector", () => {
  let backend: Backend;
  let detector: Detector;
  beforeAll(async () => {
    backend = await openBackend({ threads: 1 });
    detector = await digitsDetector(backend);
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  test("reads digits, each by itself", async () => {
    const images = float32([2, 1, 28, 28], [...drawn(1), ...drawn(7)]);
    const { features, spatial, probabilities } = await detector.observe(images);
    expect([features.shape, spatial?.shape, probabilities?.shape]).toEqual([
      [2, 64],
      [2, 196],
      [2, 10],
    ]);
    expect(detector.width).toBe(64);
    const read = [0, 1].map((n) => {
      const row = probabilities!.data.subarray(10 * n, 10 * n + 10);
      expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
      return detector.classes![row.indexOf(Math.max(...row))];
    });
    expect(read).toEqual(["1", "7"]);
    const alone = await detector.observe(float32([1, 1, 28, 28], drawn(7)));
    expect([...alone.features.data]).toEqual([...features.data.subarray(64)]);
  });

  test("takes any number of images: whole batches, and what is left", async () => {
    const images = float32([120, 1, 28, 28], normals(1, 0, 120 * 784));
    const { features } = await detector.observe(images);
    const last = await detector.observe(float32([1, 1, 28, 28], images.data.slice(119 * 784)));
    expect([...features.data.subarray(119 * 64)]).toEqual([...last.features.data]);
    await expect(detector.observe(float32([2, 3, 28, 28]))).rejects.toThrow(/\[N, 1, 28, 28\] but \[2, 3, 28, 28\]/);
  });
});
