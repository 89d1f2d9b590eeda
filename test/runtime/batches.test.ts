import { expect, test } from "vitest";
import { float32 } from "../../src/ndarray.ts";
import { batchesOf, evenSize, joinRows, makeRows, rowsOf, runInBatches } from "../../src/runtime/batches.ts";

const numbers = float32([5, 2], [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]);

test("batches are of one size; the last row fills the last one, where it does not count", () => {
  expect(batchesOf(5, 2)).toEqual([
    { indices: [0, 1], count: 2 },
    { indices: [2, 3], count: 2 },
    { indices: [4, 4], count: 1 },
  ]);
  expect(batchesOf(3, 4)).toEqual([{ indices: [0, 1, 2, 2], count: 3 }]);
  expect(batchesOf(0, 4)).toEqual([]);
});

test("an even size takes no more batches than the largest that is allowed, and fills them best", () => {
  for (let count = 1; count < 60; count++)
    for (let most = 1; most < 20; most++) {
      const size = evenSize(count, most);
      const batches = Math.ceil(count / most);
      expect(size).toBeLessThanOrEqual(most);
      expect(batchesOf(count, size)).toHaveLength(batches);
      expect(batches * (size - 1)).toBeLessThan(count);
    }
});

test("rows are taken, made and joined", () => {
  expect(rowsOf(numbers, [3, 0])).toEqual(float32([2, 2], [30, 31, 0, 1]));
  expect(makeRows([7, 8], [3], (index, size) => new Float32Array(size).fill(index))).toEqual(
    float32([2, 3], [7, 7, 7, 8, 8, 8]),
  );
  expect(joinRows([rowsOf(numbers, [0, 1]), rowsOf(numbers, [2, 2])], 3)).toEqual(rowsOf(numbers, [0, 1, 2]));
  expect(joinRows([numbers], 5)).toBe(numbers);
});

test("a program of a fixed size runs over any number of rows, none included", async () => {
  const sizes: number[] = [];
  const sums = (rows: typeof numbers) =>
    runInBatches(rows, 2, async ({ shape, data }) => {
      sizes.push(shape[0]!);
      return {
        sum: float32([2], [data[0]! + data[1]!, data[2]! + data[3]!]),
        twice: float32(
          shape,
          data.map((x) => 2 * x),
        ),
      };
    });
  const { sum, twice } = await sums(numbers);
  expect(sum).toEqual(float32([5], [1, 21, 41, 61, 81]));
  expect(twice).toEqual(
    float32(
      [5, 2],
      numbers.data.map((x) => 2 * x),
    ),
  );
  expect(sizes).toEqual([2, 2, 2]);
  expect((await sums(float32([0, 2]))).twice.shape).toEqual([0, 2]);
});
