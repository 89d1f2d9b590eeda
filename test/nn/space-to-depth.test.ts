import { describe, expect, test } from "vitest";
import { depthToSpace, spaceToDepth } from "../../src/nn/space-to-depth.ts";
import { f32, input } from "../../src/tensor/trace.ts";
import { compute, numbers } from "./numbers.ts";

describe.each([1, 2, 3])("blocks of side %i", (factor) => {
  const [n, channels, h, w] = [2, 3, 2, 1];
  const image = numbers([n, channels, factor * h, factor * w]);

  test("become channels in the order of pixel_unshuffle", () => {
    const cut = compute([image], (x) => spaceToDepth(x, factor));
    expect(cut.shape).toEqual([n, channels * factor ** 2, h, w]);
    let at = 0;
    for (let i = 0; i < n; i++)
      for (let c = 0; c < channels; c++)
        for (let dy = 0; dy < factor; dy++)
          for (let dx = 0; dx < factor; dx++)
            for (let row = 0; row < h; row++)
              for (let column = 0; column < w; column++) {
                const from = ((i * channels + c) * factor * h + factor * row + dy) * factor * w + factor * column + dx;
                expect(cut.data[at++]).toBe(image.data[from]);
              }
    expect(at).toBe(cut.data.length);
  });

  test("are put back where they were", () => {
    const back = compute([image], (x) => depthToSpace(spaceToDepth(x, factor), factor));
    expect(back.shape).toEqual(image.shape);
    expect(Array.from(back.data)).toEqual(image.data);
  });
});

test("what cannot be cut, or put together, is refused with its shape", () => {
  expect(() => spaceToDepth(input("x", f32(1, 3, 4, 5)), 2)).toThrow("divisible by 2 but is [1, 3, 4, 5]");
  expect(() => depthToSpace(input("x", f32(1, 6, 4, 4)), 2)).toThrow("divisible by 4 but is [1, 6, 4, 4]");
});
