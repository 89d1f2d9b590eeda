import { DataError } from "../../errors.ts";
import { type NumpyArray, npyType, readNpy } from "../../formats/npy.ts";
import type { Image } from "../../images/image.ts";
import { sizeOf } from "../../ndarray.ts";
import {
  checkRange,
  describeExtremes,
  extremesOf,
  narrowestRange,
  toBytes,
  type ValueRange,
} from "../../value-range.ts";

/** An array of images. */
export interface PixelArray {
  readonly name: string;
  /** As numpy has it: "u2" for uint16. */
  readonly type: string;
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** Whether channels lie one after the other, [N, C, H, W]. */
  readonly planar: boolean;
  readonly data: ArrayLike<number> & { subarray(start: number, end: number): ArrayLike<number> };
}

const isColour = (channels: number | undefined): channels is 1 | 3 => channels === 1 || channels === 3;

/** Reads an array of images. Throws DataError where it has another shape, or is not of numbers. */
export function pixelArray(bytes: Uint8Array, name: string): PixelArray {
  const array = readNpy(bytes, name);
  const type = npyType(bytes, name);
  const [count = 0, a = 0, b = 0, c] = array.shape;
  const expected = "[N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W]";
  const refuse = (more = "") =>
    new DataError(`${name}: expected images ${expected} but it is ${numpyName(type)} [${array.shape}]${more}`);
  if (sizeOf(array.shape) === 0) throw refuse("; there are no images");
  if (array.dtype === "string") throw refuse();
  const common = { name, type, count, data: numbersOf(array) };
  if (array.shape.length === 3) return { ...common, height: a, width: b, channels: 1, planar: false };
  if (array.shape.length === 4 && isColour(c)) return { ...common, height: a, width: b, channels: c, planar: false };
  if (array.shape.length === 4 && isColour(a)) return { ...common, height: b, width: c!, channels: a, planar: true };
  if (array.shape.length === 4 && (c === 4 || a === 4)) throw refuse("; leave the fourth channel (transparency) out");
  if (array.shape.length === 2) throw refuse("; reshape its rows to images");
  throw refuse();
}

function numbersOf(array: NumpyArray): PixelArray["data"] {
  if (array.dtype === "int64") return Float64Array.from(array.data, Number);
  if (array.dtype === "string") throw new TypeError("text");
  return array.data;
}

const KINDS: Readonly<Record<string, string>> = { f: "float", i: "int", u: "uint" };

/** numpy's name of a type: "uint16" of "u2". */
const numpyName = (type: string): string => {
  if (type === "b1") return "bool";
  const kind = KINDS[type[0] ?? ""];
  return kind ? `${kind}${8 * Number(type.slice(1))}` : type;
};

/** How the values of a data set become bytes, and what is said of it. */
export interface Values {
  readonly toBytes: (values: ArrayLike<number>) => Uint8Array;
  readonly notes: readonly string[];
}

const SAID: Readonly<Record<ValueRange, string>> = { "0..1": "0 ... 1", "-1..1": "-1 ... 1", "0..255": "0 ... 255" };

const scaled = (range: ValueRange, type: string): Values => ({
  toBytes: (values) => toBytes(values, range),
  notes: [`${numpyName(type)} values ${SAID[range]} taken as 0 ... 255 of a byte`],
});

/**
 * How values become bytes: as `range` says; else bytes as they are, the upper 8 bits of uint16, and other numbers by the narrowest of 0 ... 1,
 * -1 ... 1 and 0 ... 255 that holds all of the data set.
 *
 * @throws DataError where they lie outside of the range, or of all ranges
 */
export function valuesIn(arrays: readonly PixelArray[], range: ValueRange | undefined): Values {
  const [{ type, name }] = arrays as [PixelArray];
  const other = arrays.find((array) => array.type !== type);
  if (other)
    throw new DataError(
      `${name} is ${numpyName(type)} but ${other.name} is ${numpyName(other.type)}; save both as uint8`,
    );
  if (type === "u1" && range === undefined) return { toBytes: (values) => Uint8Array.from(values), notes: [] };
  const each = arrays.map((array) => extremesOf(array.data, array.name));
  const extremes = [Math.min(...each.map(([low]) => low)), Math.max(...each.map(([, high]) => high))] as const;
  if (range !== undefined) {
    for (const [i, array] of arrays.entries()) checkRange(range, each[i]!, array.name);
    return scaled(range, type);
  }
  if (type === "b1") return scaled("0..1", type);
  if (type === "u2" && extremes[1] > 255)
    return {
      toBytes: (values) => Uint8Array.from(values, (value) => value >> 8),
      notes: ["of uint16 values the upper 8 bits count"],
    };
  const isFloat = type.startsWith("f");
  const found = narrowestRange(extremes, isFloat ? ["0..1", "-1..1", "0..255"] : ["0..255"]);
  if (found === undefined)
    throw new DataError(
      `${name}: expected ${numpyName(type)} values in ${isFloat ? "0..1, -1..1 or 0..255" : "0..255"} but they are ${describeExtremes(extremes)}; save it as uint8`,
    );
  return scaled(found, type);
}

/** The images of an array, made when they are asked for. */
export const imagesOf =
  ({ width, height, channels, planar, data }: PixelArray, values: Values) =>
  (i: number): Image => {
    const area = width * height;
    const size = area * channels;
    const bytes = values.toBytes(data.subarray(i * size, (i + 1) * size));
    if (!planar || channels === 1) return { width, height, channels, data: bytes };
    const pixels = Uint8Array.from(
      { length: size },
      (_, at) => bytes[(at % channels) * area + Math.floor(at / channels)]!,
    );
    return { width, height, channels, data: pixels };
  };
