import { expect, test } from "vitest";
import { integers, normals, permutation, philox, uniforms } from "../src/random.ts";

const hex = (words: readonly number[]): string => words.map((word) => word.toString(16).padStart(8, "0")).join(" ");

// kat_vectors of the Random123 distribution, "philox4x32 10".
test.each([
  [[0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
  [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], "408f276d 41c83b0e a20bc7c6 6d5451fd"],
  [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], "d16cfe09 94fdcceb 5001e420 24126ea1"],
] as const)("Philox 4x32-10 gives the published words (%#)", (counter, key, words) => {
  expect(hex(philox(counter, key))).toBe(words);
});

test("elements follow from words of the counter and key that the documentation names", () => {
  const seed = 3 * 2 ** 32 + 7;
  const stream = 5 * 2 ** 32 + 11;
  const words = philox([1, 0, 11, 5], [7, 3]);
  expect(uniforms(seed, stream, 4)[2]).toBe(
    Number((BigInt(words[0]) >> 5n) * 2n ** 26n + (BigInt(words[1]) >> 6n)) / 2 ** 53,
  );
  const radius = Math.sqrt(-2 * Math.log((words[2] + 1) / 2 ** 32));
  expect(normals(seed, stream, 8)[7]).toBe(Math.fround(radius * Math.sin((2 * Math.PI * words[3]) / 2 ** 32)));
});

test("an element does not depend on how many are asked for", () => {
  for (const draw of [uniforms, normals, (s: number, t: number, n: number) => integers(s, t, n, 1000)])
    for (const count of [0, 1, 2, 3, 4, 5, 9])
      expect([...draw(1, 2, count)]).toEqual([...draw(1, 2, 64).slice(0, count)]);
});

test("seeds and streams are distinct up to 2^53 - 1", () => {
  const seen = new Set<number>();
  const values = [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
  for (const seed of values) for (const stream of values) seen.add(uniforms(seed, stream, 1)[0]!);
  expect(seen.size).toBe(values.length ** 2);
});

test.each([-1, 0.5, 2 ** 53, Number.NaN])("seed, stream and count %d are refused", (bad) => {
  expect(() => normals(bad, 0, 1)).toThrow(/seed must be a whole number/);
  expect(() => uniforms(0, bad, 1)).toThrow(/stream must be a whole number/);
  expect(() => permutation(0, 0, bad)).toThrow(/count must be a whole number/);
});

test("bound outside 1 .. 2^32 is refused", () => {
  for (const bound of [0, -1, 1.5, 2 ** 33]) expect(() => integers(0, 0, 1, bound)).toThrow(/bound must be/);
});

const moments = (values: Iterable<number>): number[] => {
  const list = [...values];
  return [1, 2, 3, 4].map((p) => list.reduce((sum, v) => sum + v ** p, 0) / list.length);
};

test("normals have the moments of N(0, 1) and uncorrelated neighbours", () => {
  const draws = normals(42, 0, 200_000);
  const [mean, square, cube, fourth] = moments(draws);
  expect(Math.abs(mean!)).toBeLessThan(0.01); // about 4.5 standard errors each
  expect(Math.abs(square! - 1)).toBeLessThan(0.015);
  expect(Math.abs(cube!)).toBeLessThan(0.04);
  expect(Math.abs(fourth! - 3)).toBeLessThan(0.1);
  const other = normals(42, 1, 200_000);
  const correlation = (lag: number, b: Float32Array): number =>
    draws.reduce((sum, v, i) => sum + v * (b[i + lag] ?? 0), 0) / draws.length;
  for (const r of [correlation(1, draws), correlation(2, draws), correlation(0, other)])
    expect(Math.abs(r)).toBeLessThan(0.01);
});

test("uniforms and integers fill their range evenly", () => {
  const [mean, square] = moments(uniforms(3, 0, 100_000));
  expect(mean).toBeCloseTo(1 / 2, 2);
  expect(square).toBeCloseTo(1 / 3, 2);
  const counts = new Array<number>(10).fill(0);
  for (const value of integers(3, 1, 100_000, 10)) counts[value]!++;
  const chiSquare = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
  expect(chiSquare).toBeLessThan(27.9); // p = 0.001 at 9 degrees of freedom
});

test("permutation holds every number once, and every order comes up", () => {
  expect([...permutation(1, 0, 1000)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  const counts = new Map<string, number>();
  for (let stream = 0; stream < 6000; stream++) {
    const order = permutation(9, stream, 3).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
});
