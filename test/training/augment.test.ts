import { describe, expect, test } from "vitest";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { augmented, augmentSize } from "../../src/training/batch/augment.ts";

type Rows = number[][];

/** One channel of an image as rows, and the changes by arrays alone. */
const rowsOf = (data: Float32Array, height: number, width: number): Rows =>
  Array.from({ length: height }, (_, i) => Array.from(data.slice(i * width, (i + 1) * width)));
const mirrored = (rows: Rows): Rows => rows.map((row) => row.toReversed());
const upsideDown = (rows: Rows): Rows => rows.toReversed();
/** By a quarter, counter-clockwise: the last column becomes the first row. */
const turned = (rows: Rows): Rows => rows[0]!.map((_, i) => rows.map((row) => row.at(-1 - i)!));
const shifted = (rows: Rows, dx: number, dy: number): Rows => {
  const at = <T>(line: readonly T[], i: number): T =>
    line[i < 0 ? -i : i >= line.length ? 2 * (line.length - 1) - i : i]!;
  return rows.map((row, y) => row.map((_, x) => at(at(rows, y - dy), x - dx)));
};

const images = (count: number, channels: number, height: number, width: number) =>
  float32([count, channels, height, width], normals(2, 0, count * channels * height * width));

describe("augmentation that the network is told of", () => {
  test.each([
    [16, 16],
    [8, 16],
  ])("does to images of %i x %i pixels what it says", (height, width) => {
    const x = images(200, 2, height, width);
    const { x: changed, augment } = augmented(x, { seed: 5, step: 3, probability: 1 });
    expect(augment.shape).toEqual([200, augmentSize]);
    const area = height * width;
    for (let i = 0; i < 200; i++) {
      const [flipX, flipY, turn1, turn2, right, down] = augment.data.slice(6 * i, 6 * (i + 1)) as unknown as number[];
      const turns = turn1 ? (turn2 ? 2 : 1) : turn2 ? 3 : 0;
      for (const c of [0, 1]) {
        const start = (2 * i + c) * area;
        let rows = rowsOf(x.data.slice(start, start + area), height, width);
        if (flipX) rows = mirrored(rows);
        if (flipY) rows = upsideDown(rows);
        for (let k = 0; k < turns; k++) rows = turned(rows);
        rows = shifted(rows, Math.round((right! * width) / 8), Math.round((down! * height) / 8));
        expect(rowsOf(changed.data.slice(start, start + area), height, width)).toEqual(rows);
      }
      if (height !== width) expect([0, 2]).toContain(turns);
    }
    const told = (i: number) => new Set(Array.from({ length: 200 }, (_, n) => augment.data[6 * n + i]!));
    for (const i of [0, 1, 2, 3]) expect([...told(i)].toSorted()).toEqual([0, 1]);
    expect([...told(4)].toSorted((a, b) => a - b).at(-1)).toBe(1);
    expect(Math.min(...told(5))).toBe(-1);
  });

  test("changes as many images as its probability says, each kind by itself", () => {
    const count = 20_000;
    const { augment } = augmented(images(count, 1, 8, 8), { seed: 1, step: 1, probability: 0.4 });
    const share = (i: number) => augment.data.filter((value, k) => k % 6 === i && value !== 0).length / count;
    expect(share(0)).toBeCloseTo(0.4 / 2, 1.7);
    expect(share(1)).toBeCloseTo(0.4 / 2, 1.7);
    expect(share(2)).toBeCloseTo(0.4 / 2, 1.7);
    // Of -1, 0 and 1 pixels, 0 has half of the numbers.
    expect(share(4)).toBeCloseTo(0.4 / 2, 1.7);
    const both = augment.data.filter((_, k) => k % 6 === 0 && augment.data[k]! > 0 && augment.data[k + 1]! > 0).length;
    expect(both / count).toBeCloseTo((0.4 / 2) ** 2, 1.7);
  });

  test("with probability 0 leaves images as they are and says so; it is a function of seed and step", () => {
    const x = images(9, 3, 6, 6);
    const none = augmented(x, { seed: 1, step: 1, probability: 0 });
    expect(none.x.data).toEqual(x.data);
    expect(none.augment.data.every((value) => value === 0)).toBe(true);
    const once = augmented(x, { seed: 1, step: 1, probability: 0.5 });
    expect(augmented(x, { seed: 1, step: 1, probability: 0.5 })).toEqual(once);
    expect(augmented(x, { seed: 1, step: 2, probability: 0.5 }).x.data).not.toEqual(once.x.data);
    expect(augmented(x, { seed: 2, step: 1, probability: 0.5 }).x.data).not.toEqual(once.x.data);
  });
});
