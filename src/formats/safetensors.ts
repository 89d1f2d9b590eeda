import { ModelError } from "../errors.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { type ByteSource, bytesOf, elementsOf, partLength, partsOf, viewOf } from "./bytes.ts";
import { bfloat16ToFloat32, float32ToHalf, halfToFloat32 } from "./float16.ts";
import type { LazyTensor } from "./lazy-tensor.ts";
import { whatItIs } from "./what-it-is.ts";

/** What the format calls them, as float32. */
const TO_FLOAT32: Record<string, { width: number; convert: (bytes: Uint8Array) => Float32Array }> = {
  F32: { width: 4, convert: (bytes) => elementsOf(Float32Array, bytes) },
  F16: { width: 2, convert: (bytes) => halfToFloat32(elementsOf(Uint16Array, bytes)) },
  BF16: { width: 2, convert: (bytes) => bfloat16ToFloat32(elementsOf(Uint16Array, bytes)) },
};

/** The format's own limit, against headers that would fill the memory. */
const LONGEST_HEADER = 100_000_000;

/** A tensor of a safetensors file. */
export interface SafeTensor extends LazyTensor {
  /** How it is stored: "F32", "F16" or "BF16". */
  readonly storage: string;
  /** Bytes of the file before its first element. */
  readonly offset: number;
}

/** What a safetensors file holds. */
export interface Safetensors<T> {
  /** The tensors by name. */
  readonly tensors: Record<string, T>;
  /** Its texts by name. */
  readonly metadata: Record<string, string>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const areCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

function readHeader(source: ByteSource, file: string) {
  const failure = (problem: string, cause?: unknown) =>
    new ModelError(`${file}: ${whatItIs(source) ?? problem}`, cause === undefined ? undefined : { cause });
  if (source.size < 8)
    throw failure(`header: bytes 0 to 8 were expected but there are ${source.size}; is the file whole?`);
  const length = Number(viewOf(source.read(0, 8)).getBigUint64(0, true));
  if (length > LONGEST_HEADER) throw failure(`a header of ${length} bytes is impossible; not a safetensors file`);
  if (8 + length > source.size)
    throw failure(
      `header: bytes 8 to ${8 + length} were expected but there are ${source.size}; is the file whole, and safetensors?`,
    );
  const text = new TextDecoder().decode(source.read(8, length));
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw failure("its header is not JSON; not a safetensors file", cause);
  }
  if (!isRecord(header)) throw failure("its header is not a JSON object");
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

/** Settings of `writeSafetensors`. */
export interface WriteOptions {
  /** Names the file in errors. */
  readonly file?: string;
  /** Texts that the file keeps by name. */
  readonly metadata?: Record<string, string>;
  /** How elements are stored; float16 rounds to nearest, ties to even, and refuses what it can't hold. */
  readonly dtype?: "float32" | "float16";
}

/** The start of a safetensors file; the elements of the tensors follow it, in this order. */
function headerOf(
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

/** A tensor that is written part by part. */
export type TensorInParts = Pick<LazyTensor, "shape" | "parts">;

/** Arrays, in memory or stored, as tensors that are written part by part. */
export const inParts = (tensors: Readonly<Record<string, NDArray<"float32">>>): Record<string, TensorInParts> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, array]) => [name, { shape: array.shape, parts: () => slices(array) }]),
  );

function* slices(array: NDArray<"float32">): Generator<Float32Array> {
  const { data } = array;
  const length = partLength / data.BYTES_PER_ELEMENT;
  for (let at = 0; at < data.length; at += length) yield data.subarray(at, at + length);
}

/**
 * A safetensors file of float32 tensors in parts of a few megabytes, of which each is good until the next one is asked for; tensors in
 * their order. Throws ModelError where shape and elements disagree, or a finite value is too large for float16.
 */
export function* safetensorsParts(
  tensors: Readonly<Record<string, TensorInParts>>,
  options: WriteOptions = {},
): Generator<Uint8Array> {
  const where = (name: string) => `${options.file === undefined ? "" : `${options.file}: `}tensor "${name}"`;
  yield headerOf(Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape])), options);
  for (const [name, tensor] of Object.entries(tensors)) {
    let at = 0;
    for (const values of tensor.parts()) {
      const stored = options.dtype === "float16" ? toHalf(where(name), values, at) : values;
      yield new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
      at += values.length;
    }
    const size = sizeOf(tensor.shape);
    if (at !== size)
      throw new ModelError(`${where(name)}: shape [${tensor.shape}] holds ${size} elements but ${at} came`);
  }
}

/** The same file in one piece. Equal tensors give equal bytes. Throws ModelError as `safetensorsParts` does. */
export function writeSafetensors(
  tensors: Readonly<Record<string, NDArray<"float32">>>,
  options: WriteOptions = {},
): Uint8Array<ArrayBuffer> {
  const parts = [...safetensorsParts(inParts(tensors), options)];
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function toHalf(where: string, values: Float32Array, start: number): Uint16Array {
  const half = float32ToHalf(values);
  const infinite = half.findIndex((bits, i) => (bits & 0x7fff) === 0x7c00 && Number.isFinite(values[i]));
  if (infinite >= 0)
    throw new ModelError(
      `${where}: ${values[infinite]} at ${start + infinite} is too large for float16; store it as float32`,
    );
  return half;
}
