import { expect, test } from "vitest";
import type { Split } from "../../src/data/content.ts";
import { heldOutShare, holdOut } from "../../src/data/hold-out.ts";
import { DataError } from "../../src/errors.ts";
import { noise } from "./make.ts";

/** Images of 4 pixels each, a class for every place of `labels`. */
function split(count: number, labels: (i: number) => number, image = (i: number) => noise(4, i + 1)): Split {
  const images = new Uint8Array(4 * count);
  for (let i = 0; i < count; i++) images.set(image(i), 4 * i);
  return { count, shape: [1, 2, 2], labels: Int32Array.from({ length: count }, (_, i) => labels(i)), images };
}
const imagesOf = ({ images, count }: Split): string[] =>
  Array.from({ length: count }, (_, i) => [...images.subarray(4 * i, 4 * i + 4)].join());
const open = (train: Split, test?: Split) => holdOut({ path: "data", train, test });

test("test images are held out where there are some", () => {
  const [train, other] = [split(5, () => 0), split(2, () => 0)];
  expect(open(train, other)).toEqual({ train, heldOut: other, what: "the test images" });
});

test("a fixed share is, by content: in any order, and equal images on one side", () => {
  const whole = split(
    1000,
    (i) => i % 3,
    (i) => noise(4, 1 + (i % 900)),
  );
  const { train, heldOut, what } = open(whole);
  expect(train.count + heldOut.count).toBe(1000);
  // Binomial of 900: three deviations are 0.036.
  expect(Math.abs(heldOut.count / 1000 - heldOutShare)).toBeLessThan(0.04);
  expect(what).toBe(`${heldOut.count} images held out by their content`);
  const learnt = new Set(imagesOf(train));
  expect(imagesOf(heldOut).filter((image) => learnt.has(image))).toEqual([]);
  const reversed = open(
    split(
      1000,
      (i) => (999 - i) % 3,
      (i) => noise(4, 1 + ((999 - i) % 900)),
    ),
  );
  expect(imagesOf(reversed.heldOut).sort()).toEqual(imagesOf(heldOut).sort());
  // More images: the others stay where they are.
  const more = new Set(
    imagesOf(
      open(
        split(
          1500,
          (i) => i % 3,
          (i) => noise(4, 1 + i),
        ),
      ).heldOut,
    ),
  );
  expect(imagesOf(heldOut).every((image) => more.has(image))).toBe(true);
});

test("a smaller share is part of a larger one, and there is a limit", () => {
  const whole = split(
    1000,
    (i) => i % 3,
    (i) => Uint8Array.of(i >> 8, i, 0, 0),
  );
  const of = (options: { share: number; most?: number }) =>
    new Set(imagesOf(holdOut({ train: whole }, options).heldOut));
  const [twentieth, detector] = [of({ share: 0.05 }), of({ share: heldOutShare })];
  expect(Math.abs(twentieth.size - 50)).toBeLessThan(21);
  expect([...twentieth].filter((image) => !detector.has(image))).toEqual([]);
  const few = of({ share: heldOutShare, most: 12 });
  expect(few.size).toBe(12);
  expect([...few].filter((image) => !twentieth.has(image))).toEqual([]);
  expect(of({ share: 1e-9 }).size).toBe(1);
});

test("each class keeps an image to learn from, and one image at least is held out", () => {
  for (const count of [3, 4, 7]) {
    const { train, heldOut } = open(split(count, (i) => Math.min(i, 1)));
    expect(new Set(train.labels)).toEqual(new Set([0, 1]));
    expect(heldOut.count).toBeGreaterThan(0);
  }
  expect(() => open(split(3, (i) => i))).toThrow(DataError);
});
