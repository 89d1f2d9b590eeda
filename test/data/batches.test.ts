import { describe, expect, test } from "vitest";
import { batchSequence, gather } from "../../src/data/batches.ts";
import type { Split } from "../../src/data/content.ts";
import { UsageError } from "../../src/errors.ts";

/** Split whose image n is the constant n and whose label is n too. */
function constants(count: number): Split {
  const images = Uint8Array.from({ length: 4 * count }, (_, i) => Math.floor(i / 4));
  return { count, shape: [1, 2, 2], labels: Int32Array.from({ length: count }, (_, i) => i), images };
}

/** One image [1, 5, 7], each pixel its own value. */
const ramp: Split = {
  count: 1,
  shape: [1, 5, 7],
  labels: Int32Array.of(0),
  images: Uint8Array.from({ length: 35 }, (_, i) => i),
};
const pixels = (x: Float32Array) => Array.from(x, (v) => Math.round((v + 1) * 127.5));

test("gather gives [N, C, H, W] in [-1, 1] and labels", () => {
  const split: Split = {
    count: 2,
    shape: [3, 1, 1],
    labels: Int32Array.of(4, 7),
    images: Uint8Array.of(0, 51, 255, 1, 2, 3),
  };
  const { x, y } = gather(split, [1, 0]);
  expect(x.shape).toEqual([2, 3, 1, 1]);
  expect([...x.data].map((v) => v.toFixed(4))).toEqual([
    "-0.9922",
    "-0.9843",
    "-0.9765",
    "-1.0000",
    "-0.6000",
    "1.0000",
  ]);
  expect(y).toEqual({ dtype: "int32", shape: [2], data: Int32Array.of(7, 4) });
});

describe("batchSequence", () => {
  test("every epoch holds every image once, in another order", () => {
    const at = batchSequence(constants(12), { batchSize: 4, seed: 5 });
    const labels = Array.from({ length: 6 }, (_, step) => [...at(step).y.data]).flat();
    const [first, second] = [labels.slice(0, 12), labels.slice(12)];
    const all = Array.from({ length: 12 }, (_, i) => i);
    expect(first.toSorted((a, b) => a - b)).toEqual(all);
    expect(second.toSorted((a, b) => a - b)).toEqual(all);
    expect(first).not.toEqual(all);
    expect(first).not.toEqual(second);
  });

  test("images go with their labels", () => {
    const { x, y } = batchSequence(constants(50), { batchSize: 20, seed: 1 })(1);
    expect(pixels(x.data)).toEqual([...y.data].flatMap((label) => [label, label, label, label]));
  });

  test("any step can be had by itself: the same as when reached in order", () => {
    const options = { batchSize: 5, seed: 3, flip: true, crop: 1 };
    const inOrder = batchSequence(constants(7), options);
    const steps = Array.from({ length: 10 }, (_, step) => inOrder(step));
    for (const step of [9, 2, 5]) expect(batchSequence(constants(7), options)(step)).toEqual(steps[step]);
    // Also from one that has been asked for other steps, of other epochs.
    for (const step of [9, 2, 5, 0, 9, 8, 1]) expect(inOrder(step)).toEqual(steps[step]);
  });

  test("the seed decides", () => {
    const first = (seed: number) => [...batchSequence(constants(100), { batchSize: 50, seed })(0).y.data];
    expect(first(1)).toEqual(first(1));
    expect(first(1)).not.toEqual(first(2));
  });

  test("batches go over the ends of epochs, also of a set smaller than a batch", () => {
    const { x, y } = batchSequence(constants(3), { batchSize: 8, seed: 0 })(4); // positions 32 to 39
    expect(x.shape).toEqual([8, 1, 2, 2]);
    const whole = [...y.data].slice(1, 7); // epochs 11 and 12
    expect(whole.slice(0, 3).toSorted()).toEqual([0, 1, 2]);
    expect(whole.slice(3).toSorted()).toEqual([0, 1, 2]);
  });

  test("flip mirrors about half of the images, left to right, and nothing else", () => {
    const { x } = batchSequence(ramp, { batchSize: 200, seed: 2, flip: true })(0);
    const mirrored = Array.from({ length: 35 }, (_, i) => 7 * Math.floor(i / 7) + 6 - (i % 7));
    let flips = 0;
    for (let n = 0; n < 200; n++) {
      const image = pixels(x.data.subarray(35 * n, 35 * (n + 1)));
      const flipped = image[0] !== 0;
      flips += Number(flipped);
      expect(image).toEqual(flipped ? mirrored : [...ramp.images]);
    }
    expect(flips).toBeGreaterThan(70);
    expect(flips).toBeLessThan(130);
  });

  test("crop shifts by every amount up to its own and reflects at the edges", () => {
    const { x } = batchSequence(ramp, { batchSize: 300, seed: 4, crop: 2 })(0);
    const rows = [2, 1, 0, 1, 2, 3, 4, 3, 2]; // rows -2 to 6 of five
    const columns = [2, 1, 0, 1, 2, 3, 4, 5, 6, 5, 4];
    const shifts = new Map<string, string>();
    for (let dy = 0; dy < 5; dy++)
      for (let dx = 0; dx < 5; dx++) {
        const image = rows.slice(dy, dy + 5).flatMap((r) => columns.slice(dx, dx + 7).map((c) => 7 * r + c));
        shifts.set(image.join(), `${dx} ${dy}`);
      }
    const seen = new Set<string | undefined>();
    for (let n = 0; n < 300; n++) seen.add(shifts.get(pixels(x.data.subarray(35 * n, 35 * (n + 1))).join()));
    expect(shifts.size).toBe(25);
    expect(seen).toEqual(new Set(shifts.values()));
  });

  test("options out of range are refused", () => {
    expect(() => batchSequence(ramp, { batchSize: 0, seed: 0 })).toThrow(UsageError);
    expect(() => batchSequence(ramp, { batchSize: 1, seed: 0, crop: 5 })).toThrow(
      /crop must be .* from 0 to 4 but is 5/,
    );
  });
});
