import { describe, expect, test } from "vitest";
import { imageOrder } from "../../src/data/order.ts";
import { UsageError } from "../../src/errors.ts";

/** Classes of 90, 9 and 1 images; none has label 1. */
const labels = Int32Array.from({ length: 100 }, (_, i) => (i < 90 ? 0 : i < 99 ? 2 : 3));
const split = { count: 100, labels };

/** How often each class stands in epochs, and each image. */
function counted(classBalance: number, epochs: number) {
  const at = imageOrder(split, { seed: 4, classBalance });
  const images = new Uint32Array(100);
  for (let position = 0; position < 100 * epochs; position++) images[at(position)]!++;
  const ofClass = (label: number): number => images.reduce((sum, n, i) => sum + (labels[i] === label ? n : 0), 0);
  return { classes: [0, 2, 3].map(ofClass), images };
}

describe("imageOrder with classBalance", () => {
  test.each([
    [0, [90, 9, 1]],
    // 90^0.5 : 9^0.5 : 1 is 70.3 : 22.2 : 7.4 of a hundred.
    [0.5, [70, 23, 7]],
    [1, [33, 34, 33]],
  ])("at %f classes stand in an epoch as often as n^(1 - b) says", (classBalance, expected) => {
    expect(counted(classBalance, 1).classes).toEqual(expected);
    expect(counted(classBalance, 7).classes).toEqual(expected.map((n) => 7 * n));
  });

  test("images of a class are shown equally often, to within one", () => {
    const { images } = counted(0.5, 5);
    for (const label of [0, 2, 3]) {
      const own = [...images].filter((_, i) => labels[i] === label);
      expect(Math.max(...own) - Math.min(...own)).toBeLessThanOrEqual(1);
    }
  });

  test("classes are mixed within an epoch, another way in the next", () => {
    const at = imageOrder(split, { seed: 4, classBalance: 1 });
    const seen = (epoch: number) => Array.from({ length: 100 }, (_, i) => labels[at(100 * epoch + i)]!);
    expect(seen(0)).not.toEqual(seen(1));
    expect(new Set(seen(0).slice(0, 20))).toEqual(new Set([0, 2, 3]));
  });

  test("a position can be asked for by itself", () => {
    const at = imageOrder(split, { seed: 1, classBalance: 0.5 });
    const inOrder = Array.from({ length: 300 }, (_, position) => at(position));
    for (const position of [299, 17, 205, 100]) {
      expect(imageOrder(split, { seed: 1, classBalance: 0.5 })(position)).toBe(inOrder[position]);
      expect(at(position)).toBe(inOrder[position]);
    }
  });

  test.each([-0.1, 1.1, Number.NaN])("%f is refused", (classBalance) => {
    expect(() => imageOrder(split, { seed: 0, classBalance })).toThrow(UsageError);
  });
});
