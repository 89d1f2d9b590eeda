import { expect, test } from "vitest";
import { bfloat16ToFloat32, float32ToHalf, halfToFloat32 } from "../../src/formats/float16.ts";

const half = (...values: number[]) => Array.from(float32ToHalf(Float32Array.from(values)));

test("every half-precision number but NaN survives the way to float32 and back", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const back = float32ToHalf(halfToFloat32(all));
  const isNaNBits = (bits: number) => (bits & 0x7fff) > 0x7c00;
  expect(back.filter((bits, i) => (isNaNBits(i) ? !isNaNBits(bits) : bits !== i))).toHaveLength(0);
});

test("known values (IEEE 754)", () => {
  expect(half(1, -2, 65504, 2 ** -14, 2 ** -24, -0)).toEqual([0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000]);
  expect(half(1 / 3)).toEqual([0x3555]);
  expect(half(Number.POSITIVE_INFINITY, Number.NaN)).toEqual([0x7c00, 0x7e00]);
});

test("rounds to the nearest, ties to even", () => {
  const step = 2 ** -10; // between neighbours above 1
  expect(half(1 + 0.5 * step, 1 + 1.5 * step, 1 + 0.75 * step, 1 + 0.25 * step)).toEqual([
    0x3c00, 0x3c02, 0x3c01, 0x3c00,
  ]);
  expect(half(2 - 0.25 * step)).toEqual([0x4000]); // carries into the exponent
  const tiny = 2 ** -24;
  expect(half(0.5 * tiny, 1.5 * tiny, 2.5 * tiny, -0.75 * tiny, 1023.5 * tiny)).toEqual([0, 2, 2, 0x8001, 0x0400]);
  expect(half(65519, 65520)).toEqual([0x7bff, 0x7c00]);
});

test("bfloat16 is the upper half of float32", () => {
  expect(Array.from(bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc040, 0xff80)))).toEqual([
    1,
    -3,
    Number.NEGATIVE_INFINITY,
  ]);
});
