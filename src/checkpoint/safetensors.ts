import { ModelError } from "../errors.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { type ByteSource, bytesOf, elementsOf, partsOf, readPart, viewOf } from "./bytes.ts";
import { bfloat16ToFloat32, float32ToHalf, halfToFloat32 } from "./float16.ts";
import type { LazyTensor } from "./lazy-tensor.ts";

/** What the format calls them, as float32. */
const TO_FLOAT32: Record<string, { width: number; convert: (bytes: Uint8Array) => Float32Array }> = {
  F32: { width: 4, convert: (bytes) => elementsOf(Float32Array, bytes) },
  F16: { width: 2, convert: (bytes) => halfToFloat32(elementsOf(Uint16Array, bytes)) },
  BF16: { width: 2, convert: (bytes) => bfloat16ToFloat32(elementsOf(Uint16Array, bytes)) },
};

/** The format's own limit, against headers that would fill the memory. */
const LONGEST_HEADER = 100_000_000;

export interface SafeTensor extends LazyTensor {
  /** How it is stored: "F32", "F16" or "BF16". */
  readonly storage: string;
  /** Bytes of the file before its first element. */
  readonly offset: number;
}

export interface Safetensors<T> {
  readonly tensors: Record<string, T>;
  readonly metadata: Record<string, string>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const areCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

function readHeader(source: ByteSource, file: string) {
  const length = Number(viewOf(readPart(source, 0, 8, `${file}: header`, ModelError)).getBigUint64(0, true));
  if (length > LONGEST_HEADER)
    throw new ModelError(`${file}: a header of ${length} bytes is impossible; not a safetensors file`);
  const text = new TextDecoder().decode(readPart(source, 8, length, `${file}: header`, ModelError));
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${file}: its header is not JSON; not a safetensors file`, { cause });
  }
  if (!isRecord(header)) throw new ModelError(`${file}: its header is not a JSON object`);
  return { header, start: 8 + length };
}

/** One entry of the header, checked by itself; `begin` and `end` count bytes from the end of the header. */
function checkEntry(name: string, entry: unknown, file: string) {
  const where = `${file}: tensor "${name}"`;
  if (!isRecord(entry)) throw new ModelError(`${where}: its entry is not an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  const type = TO_FLOAT32[String(dtype)];
  if (!type)
    throw new ModelError(`${where}: expected ${Object.keys(TO_FLOAT32).join(", ")} but it is ${String(dtype)}`);
  if (!areCounts(shape) || !areCounts(offsets) || offsets.length !== 2)
    throw new ModelError(`${where}: its shape or data_offsets are damaged`);
  const [begin, end] = offsets as [number, number];
  const expected = sizeOf(shape) * type.width;
  if (end - begin !== expected)
    throw new ModelError(
      `${where}: shape [${shape}] of ${String(dtype)} takes ${expected} bytes but data_offsets [${begin}, ${end}] give ${end - begin}`,
    );
  return { name, shape, storage: String(dtype), convert: type.convert, begin, end };
}

/**
 * Opens a safetensors file; only its header is read at once. Throws ModelError unless the tensors, of float32, float16 or bfloat16,
 * fill the file exactly, one after the other, and agree with their shapes. `file` is for errors.
 */
export function openSafetensors(source: ByteSource, file = "safetensors"): Safetensors<SafeTensor> {
  const { header, start } = readHeader(source, file);
  const { __metadata__: metadata = {}, ...rest } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string"))
    throw new ModelError(`${file}: its __metadata__ should map names to strings`);

  const entries = Object.entries(rest).map(([name, entry]) => checkEntry(name, entry, file));
  let position = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position)
      throw new ModelError(
        `${file}: tensor "${name}" should begin at byte ${position} but begins at ${begin}: tensors overlap or leave a gap`,
      );
    position = end;
    if (start + end > source.size)
      throw new ModelError(
        `${file}: tensor "${name}" ends at byte ${start + end} but the file has ${source.size}; is it truncated?`,
      );
  }
  if (start + position !== source.size)
    throw new ModelError(`${file}: ${source.size - start - position} bytes after the last tensor belong to none`);

  const tensors = entries.map(({ name, shape, storage, convert, begin, end }) => {
    const read = () => float32(shape, convert(source.read(start + begin, end - begin)));
    function* parts() {
      for (const part of partsOf(source, start + begin, start + end)) yield convert(part);
    }
    return [name, { shape, storage, offset: start + begin, read, parts }] as const;
  });
  return { tensors: Object.fromEntries(tensors), metadata: metadata as Record<string, string> };
}

/** Every tensor of a file, as `openSafetensors` gives them; float32 shares memory with `bytes` where it is aligned. */
export function readSafetensors(bytes: Uint8Array, file?: string): Safetensors<NDArray<"float32">> {
  const { tensors, metadata } = openSafetensors(bytesOf(bytes), file);
  const read = Object.entries(tensors).map(([name, tensor]) => [name, tensor.read()] as const);
  return { tensors: Object.fromEntries(read), metadata };
}

export interface WriteOptions {
  readonly metadata?: Record<string, string>;
  /** How elements are stored; float16 rounds to nearest, ties to even, and refuses what it can't hold. */
  readonly dtype?: "float32" | "float16";
}

/** Elements as a safetensors file has them. `name` and `start`, the place of the first, are for the error where one is too large for float16. */
export const elementBytes = (
  name: string,
  values: Float32Array,
  dtype: WriteOptions["dtype"] = "float32",
  start = 0,
): Uint8Array => {
  const stored = dtype === "float32" ? values : toHalf(name, values, start);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
};

/** The start of a safetensors file; the elements of the tensors follow it, in this order. */
export function safetensorsHeader(
  shapes: Readonly<Record<string, Shape>>,
  { metadata, dtype = "float32" }: WriteOptions = {},
): Uint8Array {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let position = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const end = position + sizeOf(shape) * (dtype === "float32" ? 4 : 2);
    header[name] = { dtype: dtype === "float32" ? "F32" : "F16", shape, data_offsets: [position, end] };
    position = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((8 + text.length) / 8) * 8; // padded with spaces, so that elements are aligned
  const out = new Uint8Array(start).fill(0x20);
  viewOf(out).setBigUint64(0, BigInt(start - 8), true);
  out.set(text, 8);
  return out;
}

/**
 * A safetensors file of float32 tensors, in their order. Equal tensors give equal bytes. Throws ModelError where shape and data
 * disagree, or a finite value is too large for float16.
 */
export function writeSafetensors(
  tensors: Record<string, NDArray<"float32">>,
  { metadata, dtype = "float32" }: WriteOptions = {},
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (sizeOf(shape) !== data.length)
      throw new ModelError(
        `tensor "${name}": shape [${shape}] holds ${sizeOf(shape)} elements but ${data.length} came`,
      );
    parts.push(elementBytes(name, data, dtype));
  }
  const shapes = Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));
  const header = safetensorsHeader(shapes, { dtype, ...(metadata && { metadata }) });
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, header.length));
  out.set(header);
  let at = header.length;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function toHalf(name: string, values: Float32Array, start: number): Uint16Array {
  const half = float32ToHalf(values);
  const infinite = half.findIndex((bits, i) => (bits & 0x7fff) === 0x7c00 && Number.isFinite(values[i]));
  if (infinite >= 0)
    throw new ModelError(
      `tensor "${name}": ${values[infinite]} at ${start + infinite} is too large for float16; store it as float32`,
    );
  return half;
}
