import { describe, expect, test } from "vitest";
import { rotate, sinePositions } from "../../src/nn/positions.ts";
import { compute, numbers } from "./numbers.ts";

describe("rotary positions", () => {
  const [rows, columns, width] = [3, 4, 8];
  const tokens = rows * columns;
  /** The same query, or key, at every place of the grid. */
  const everywhere = (phase: number) => {
    const { data } = numbers([width], phase);
    return compute(
      [{ shape: [tokens, width], data: Array.from({ length: tokens }, () => Array.from(data)).flat() }],
      (x) => rotate(x, [rows, columns]),
    );
  };
  const [q, k] = [everywhere(0), everywhere(1)];
  const product = (i: number, j: number): number =>
    Array.from({ length: width }, (_, a) => q.data[i * width + a]! * k.data[j * width + a]!).reduce(
      (sum, x) => sum + x,
    );

  test("make products depend on the way from one token to the other, not on where they are", () => {
    const at = (row: number, column: number) => row * columns + column;
    expect(product(at(0, 0), at(1, 2))).toBeCloseTo(product(at(1, 1), at(2, 3)), 6);
    expect(product(at(2, 3), at(1, 1))).toBeCloseTo(product(at(1, 2), at(0, 0)), 6);
    expect(Math.abs(product(at(0, 0), at(1, 0)) - product(at(0, 0), at(0, 1)))).toBeGreaterThan(1e-3);
    expect(Math.abs(product(at(0, 0), at(0, 1)) - product(at(0, 1), at(0, 0)))).toBeGreaterThan(1e-3);
  });

  test("keep lengths", () => {
    const norm = (i: number) => Math.hypot(...Array.from(q.data).slice(i * width, (i + 1) * width));
    for (let i = 1; i < tokens; i++) expect(norm(i)).toBeCloseTo(norm(0), 6);
  });
});

test("sine positions tell every place of the grid from every other, the first is 0 and 1", () => {
  const [rows, columns, width] = [5, 7, 16];
  const { data } = compute([numbers([1])], () => sinePositions([rows, columns], width));
  const at = (i: number) => Array.from(data).slice(i * width, (i + 1) * width);
  expect(at(0)).toEqual([...Array(width / 2).fill(0), ...Array(width / 2).fill(1)]);
  expect(at(columns + 2).slice(0, 1)[0]).toBeCloseTo(Math.sin(1), 6);
  expect(at(columns + 2)[width / 4]).toBeCloseTo(Math.sin(2), 6);
  const seen = new Set(
    Array.from({ length: rows * columns }, (_, i) =>
      at(i)
        .map((x) => x.toFixed(4))
        .join(),
    ),
  );
  expect(seen.size).toBe(rows * columns);
});
