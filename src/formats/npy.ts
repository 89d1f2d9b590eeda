import { DataError } from "../errors.ts";
import { type Shape, sizeOf, stridesOf } from "../ndarray.ts";
import { elementsOf, viewOf } from "./bytes.ts";
import { halfToFloat32 } from "./float16.ts";

/** The typed array that holds the elements of each type. */
export interface NumpyData {
  float32: Float32Array;
  float64: Float64Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  bool: Uint8Array;
  string: string[];
}
/** Types of the elements of an array that was read from an npz or npy file. */
export type NumpyDType = keyof NumpyData;

/** An array as numpy has it: wider than NDArray, which holds only what programs compute with. Row-major. */
export type NumpyArray<D extends NumpyDType = NumpyDType> = {
  [K in D]: { readonly dtype: K; readonly shape: Shape; readonly data: NumpyData[K] };
}[D];

type Values = { [K in NumpyDType]: { readonly dtype: K; readonly data: NumpyData[K] } }[NumpyDType];

/** Elements by numpy's type string without byte order. Narrow integers widen to int32, half precision to float32. */
function elements(type: string, bytes: Uint8Array): Values | undefined {
  switch (type) {
    case "f2":
      return { dtype: "float32", data: halfToFloat32(elementsOf(Uint16Array, bytes)) };
    case "f4":
      return { dtype: "float32", data: elementsOf(Float32Array, bytes) };
    case "f8":
      return { dtype: "float64", data: elementsOf(Float64Array, bytes) };
    case "i1":
      return { dtype: "int32", data: Int32Array.from(elementsOf(Int8Array, bytes)) };
    case "i2":
      return { dtype: "int32", data: Int32Array.from(elementsOf(Int16Array, bytes)) };
    case "i4":
      return { dtype: "int32", data: elementsOf(Int32Array, bytes) };
    case "i8":
      return { dtype: "int64", data: elementsOf(BigInt64Array, bytes) };
    case "u1":
      return { dtype: "uint8", data: bytes };
    case "u2":
      return { dtype: "int32", data: Int32Array.from(elementsOf(Uint16Array, bytes)) };
    case "u4":
      return { dtype: "int64", data: BigInt64Array.from(elementsOf(Uint32Array, bytes), BigInt) };
    case "u8":
      return { dtype: "int64", data: elementsOf(BigInt64Array, bytes) };
    case "b1":
      return { dtype: "bool", data: bytes };
    default:
      return undefined;
  }
}

/** Fixed-width strings, padded with zeros: bytes (`S`, one each) or UTF-32 code points (`U`, four each). */
function strings(kind: "S" | "U", width: number, count: number, bytes: Uint8Array, name: string): Values {
  const points = kind === "S" ? bytes : elementsOf(Uint32Array, bytes);
  if (points.some((point) => point > 0x10ffff)) throw new DataError(`array "${name}": its text is damaged`);
  const data = Array.from({ length: count }, (_, i) => {
    const text = points.slice(i * width, (i + 1) * width);
    return String.fromCodePoint(...text.slice(0, text.findLastIndex((point) => point !== 0) + 1));
  });
  return { dtype: "string", data };
}

/** Big-endian bytes of elements `width` wide, in little-endian order. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += width)
    for (let byte = 0; byte < width; byte++) out[at + byte] = bytes[at + width - 1 - byte]!;
  return out;
}

/** Column-major bytes of elements `width` wide, in row-major order. */
function toRowMajor(bytes: Uint8Array, shape: Shape, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const strides = stridesOf(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let from = 0; from < bytes.length; from += width) {
    const to = index.reduce((sum, n, axis) => sum + n * strides[axis]!, 0) * width;
    for (let byte = 0; byte < width; byte++) out[to + byte] = bytes[from + byte]!;
    for (let axis = 0; axis < shape.length; axis++) {
      if (++index[axis]! < shape[axis]!) break; // the first axis runs fastest
      index[axis] = 0;
    }
  }
  return out;
}

/** Header of a `.npy` file, format versions 1 to 3: a Python dictionary after magic, version and length. */
function readHeader(bytes: Uint8Array, name: string) {
  const magic = "\x93NUMPY";
  if (bytes.length < 12 || [...magic].some((c, i) => bytes[i] !== c.charCodeAt(0)))
    throw new DataError(`array "${name}": not in numpy's format (it doesn't begin with its mark)`);
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw new DataError(`array "${name}": format version ${version}; 1 to 3 are read`);
  const start = version === 1 ? 10 : 12;
  const end = start + (version === 1 ? viewOf(bytes).getUint16(8, true) : viewOf(bytes).getUint32(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const dimensions = /'shape'\s*:\s*\(([\dL,\s]*)\)/.exec(header)?.[1];
  if (end > bytes.length || !order || dimensions === undefined)
    throw new DataError(`array "${name}": its header is truncated or damaged`);
  const shape = (dimensions.match(/\d+/g) ?? []).map(Number);
  return { descr: /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1], fortran: order === "True", shape, end };
}

/**
 * Reads one `.npy` file; `name` is for errors. Shares memory with `bytes` where the elements are aligned.
 * Throws DataError where it is truncated, or its element type is not one of float16 to float64, integers of up to 64 bits, bool and strings.
 */
export function readNpy(bytes: Uint8Array, name: string): NumpyArray {
  const { descr, fortran, shape, end } = readHeader(bytes, name);
  const unsupported = () =>
    new DataError(
      `array "${name}": element type ${descr ?? "of several fields"} is not supported; save it as float32 or int64`,
    );
  const [, order, type, kind, digits] = /^([<>|=])((?:(f|i|u|b|S|U))(\d+))$/.exec(descr ?? "") ?? [];
  if (!type || !digits) throw unsupported();
  const width = Number(digits) * (kind === "U" ? 4 : 1);
  const [count, found] = [sizeOf(shape), bytes.length - end];
  if (count * width !== found)
    throw new DataError(
      `array "${name}": shape [${shape}] of ${descr} needs ${count * width} bytes but ${found} came; is it truncated?`,
    );
  const there = bytes.subarray(end);
  const content = order === ">" && kind !== "S" ? swapped(there, kind === "U" ? 4 : width) : there;
  const ordered = fortran && shape.length > 1 ? toRowMajor(content, shape, width) : content;
  const values =
    kind === "S" || kind === "U" ? strings(kind, Number(digits), count, ordered, name) : elements(type, ordered);
  if (!values) throw unsupported();
  return { ...values, shape };
}

/** The type of the elements of a `.npy` file as numpy has it, without byte order: "u2" for uint16. */
export const npyType = (bytes: Uint8Array, name: string): string =>
  (readHeader(bytes, name).descr ?? "").replace(/^[<>|=]/, "");

const DESCR = { float32: "<f4", float64: "<f8", int32: "<i4", int64: "<i8", uint8: "|u1", bool: "|b1" } as const;

/** The numeric arrays that can be written. */
export type WritableArray = NumpyArray<keyof typeof DESCR>;

/** One `.npy` file, format version 1.0. Throws DataError where shape and data disagree; `name` is for that error. */
export function writeNpy({ dtype, shape, data }: WritableArray, name: string): Uint8Array {
  if (data.length !== sizeOf(shape))
    throw new DataError(`array "${name}": shape [${shape}] holds ${sizeOf(shape)} elements but ${data.length} came`);
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  const header = `{'descr': '${DESCR[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const size = Math.ceil((10 + header.length + 1) / 64) * 64; // numpy aligns the elements to 64 bytes
  const out = new Uint8Array(size + data.byteLength);
  out.set(new TextEncoder().encode(`\x00NUMPY\x01\x00\x00\x00${header.padEnd(size - 11)}\n`));
  out[0] = 0x93;
  viewOf(out).setUint16(8, size - 10, true);
  out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), size);
  return out;
}
