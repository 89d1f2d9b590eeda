import { describe, expect, test } from "vitest";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { assignNoise, cheapestAssignment } from "../../src/training/batch/assignment.ts";

/** Every order of 0 ... n - 1. */
function* orders(n: number, start: readonly number[] = []): Generator<readonly number[]> {
  if (start.length === n) yield start;
  for (let i = 0; i < n; i++) if (!start.includes(i)) yield* orders(n, [...start, i]);
}

test.each([1, 2, 3, 5, 6])("the assignment of %i rows is the cheapest of all orders", (n) => {
  for (let trial = 0; trial < 8; trial++) {
    const cost = Float64Array.from(normals(3, 100 * n + trial, n * n));
    const total = (columns: ArrayLike<number>) =>
      Array.from(columns).reduce((sum, column, row) => sum + cost[row * n + column]!, 0);
    const assigned = cheapestAssignment(cost, n);
    expect(new Set(assigned).size).toBe(n);
    expect(total(assigned)).toBeCloseTo(Math.min(...Array.from(orders(n), total)), 10);
  }
});

describe("noise that is given to images", () => {
  const shape = [5, 2, 3, 3];
  const images = float32(shape, normals(1, 0, 90));
  const noise = float32(shape, normals(1, 1, 90));
  const of = (data: Float32Array, i: number) => data.slice(18 * i, 18 * (i + 1));
  const distance = (order: readonly number[], given: Float32Array) =>
    order.reduce((sum, from, i) => {
      const [x, z] = [of(images.data, i), of(given, from)];
      return sum + x.reduce((total, value, k) => total + (value - z[k]!) ** 2, 0);
    }, 0);

  test("is the same noise, nearer to them than in any other order", () => {
    const { data } = assignNoise(images, noise);
    const taken = Array.from({ length: 5 }, (_, i) => {
      const from = [0, 1, 2, 3, 4].find((j) => String(of(noise.data, j)) === String(of(data, i)));
      return from!;
    });
    expect(taken.toSorted()).toEqual([0, 1, 2, 3, 4]);
    const best = Math.min(...Array.from(orders(5), (order) => distance(order, noise.data)));
    expect(distance([0, 1, 2, 3, 4], data)).toBeCloseTo(best, 4);
    expect(distance([0, 1, 2, 3, 4], noise.data)).toBeGreaterThan(best);
  });

  test("stays as it was where it already is nearest, and of one image", () => {
    expect(assignNoise(noise, noise).data).toEqual(noise.data);
    const [one, other] = [float32([1, 18], of(images.data, 0)), float32([1, 18], of(noise.data, 0))];
    expect(assignNoise(one, other).data).toEqual(other.data);
  });
});
