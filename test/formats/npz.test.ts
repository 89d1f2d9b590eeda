import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { DataError } from "../../src/errors.ts";
import { type NumpyArray, readNpy, type WritableArray, writeNpy } from "../../src/formats/npy.ts";
import { arrayOf, readNpz, writeNpz } from "../../src/formats/npz.ts";

const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`data/${name}`, import.meta.url)));
const counting = Array.from({ length: 24 }, (_, i) => i);
const plain = (array: NumpyArray | undefined) => array && { ...array, data: Array.from<unknown>(array.data) };

describe("readNpz reads what numpy writes", () => {
  const arrays = readNpz(fixture("numpy.npz"));
  test.each([
    ["f4", "float32", [2, 3, 4], counting],
    ["fortran", "float32", [2, 3, 4], counting],
    ["f8", "float64", [2, 3, 4], counting.map((i) => i / 3)],
    ["f2", "float32", [2], [0.333251953125, 65504]],
    ["i8", "int64", [1, 2], [-(2n ** 40n), 3n]],
    ["i4", "int32", [2], [-3, 3]],
    ["i2", "int32", [2], [-3, 3]],
    ["u1", "uint8", [2, 1], [0, 255]],
    ["b1", "bool", [2], [1, 0]],
    ["text", "string", [3], ["three", "", "zwölf 😀"]],
    ["bytes", "string", [2], ["ab", "c"]],
    ["scalar", "float64", [], [2.5]],
    ["empty", "float32", [0, 4], []],
  ])("%s", (name, dtype, shape, data) => {
    expect(plain(arrays[name])).toEqual({ dtype, shape, data });
  });

  test("deflated archives, and format versions 2 and 3", () => {
    const expected = { dtype: "float32", shape: [2, 3, 4], data: counting };
    expect(plain(readNpz(fixture("numpy_compressed.npz")).f4)).toEqual(expected);
    for (const name of ["version2.npy", "version3.npy"]) expect(plain(readNpy(fixture(name), name))).toEqual(expected);
  });
});

describe("writeNpz", () => {
  test("writes each array with the bytes that numpy writes", () => {
    const written = unzipSync(fixture("numpy.npz"));
    const arrays = readNpz(fixture("numpy.npz"));
    for (const name of ["f4", "f8", "i8", "i4", "u1", "b1", "scalar", "empty"])
      expect(writeNpy(arrays[name] as WritableArray, name), name).toEqual(written[`${name}.npy`]);
  });

  test("gives archives that it reads again, the same bytes each time", () => {
    const arrays = {
      arr_0: { dtype: "uint8", shape: [1, 2, 2, 1], data: Uint8Array.of(1, 2, 3, 255) },
      arr_1: { dtype: "int64", shape: [1], data: BigInt64Array.of(7n) },
    } as const;
    expect(readNpz(writeNpz(arrays))).toEqual(arrays);
    expect(writeNpz(arrays)).toEqual(writeNpz(arrays));
  });

  test("refuses data that do not fit the shape", () => {
    expect(() => writeNpz({ a: { dtype: "float32", shape: [2, 2], data: new Float32Array(3) } })).toThrow(
      /"a": shape \[2,2\] holds 4 elements but 3 came/,
    );
  });
});

describe("errors name the array", () => {
  test("missing, or of another type", () => {
    const arrays = readNpz(fixture("numpy.npz"));
    expect(arrayOf(arrays, "f4", "float32").data[5]).toBe(5);
    expect(() => arrayOf(arrays, "nothing", "float32")).toThrow(/"nothing" is missing; there are f4, f8/);
    expect(() => arrayOf(arrays, "f8", "float32")).toThrow(/"f8": expected float32 but it is float64/);
  });

  test("big-endian elements are read", () => {
    const { big } = readNpz(fixture("big_endian.npz"));
    expect(big).toEqual({ dtype: "float32", shape: [2, 3, 4], data: Float32Array.from({ length: 24 }, (_, i) => i) });
  });

  test("unsupported or truncated", () => {
    const whole = fixture("version2.npy");
    const complex = whole.slice();
    complex.set(Buffer.from("<c8"), Buffer.from(whole).indexOf("<f4"));
    expect(() => readNpy(complex, "x")).toThrow(/"x": element type <c8 is not supported/);
    expect(() => readNpy(whole.subarray(0, -1), "x")).toThrow(/"x": shape \[2,3,4\] of <f4 needs 96 bytes but 95 came/);
    expect(() => readNpz(fixture("numpy.npz").subarray(0, 3000))).toThrow(/not a whole zip archive/);
  });

  test("a flipped bit is noticed", () => {
    const bytes = fixture("numpy.npz");
    const at = bytes.findIndex((_, i) => String.fromCharCode(...bytes.subarray(i, i + 6)) === "\x93NUMPY") + 140;
    bytes[at]! ^= 1;
    expect(() => readNpz(bytes)).toThrow(/"f4.npy": size or checksum differ/);
  });

  test("whatever byte is damaged, it is a DataError or nothing", () => {
    const text = unzipSync(fixture("numpy.npz"))["text.npy"]!;
    const files = [
      [fixture("numpy_compressed.npz"), readNpz],
      [fixture("version2.npy"), (bytes: Uint8Array) => readNpy(bytes, "x")],
      [text, (bytes: Uint8Array) => readNpy(bytes, "x")],
    ] as const;
    for (const [whole, read] of files)
      for (let at = 0; at < whole.length; at++)
        for (const bytes of [whole.subarray(0, at), whole.with(at, whole[at]! ^ 0xff), whole.with(at, whole[at]! ^ 1)])
          try {
            read(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(DataError);
          }
  });
});
