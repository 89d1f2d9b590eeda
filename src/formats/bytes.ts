/**
 * Bytes that can be read in pieces: a buffer, or a file too large for one. Synchronous, since what reads them (zip, pickle,
 * safetensors) jumps about in small steps; in a browser, a worker's `FileReaderSync` serves.
 */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /** `length` bytes from `offset`, in the first bytes of `memory` where a file's need some; the caller stays within `size`. */
  read(offset: number, length: number, memory?: Uint8Array): Uint8Array;
}

/** Bytes that are in memory at a time where large contents pass through it. */
export const partLength = 2 ** 22;

/** The class of error that a reader throws: DataError for arrays, ModelError for weights. */
export type Failure = new (message: string, options?: ErrorOptions) => Error;

/** A buffer as a source; what is read shares its memory, as plain Uint8Arrays also where it is a Node Buffer. */
export const bytesOf = (bytes: Uint8Array): ByteSource => ({
  size: bytes.length,
  read: (offset, length) => new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length),
});

/** A stretch of a source in parts of a few megabytes, which share their memory: each is good until the next one is asked for. */
export function* partsOf(source: ByteSource, begin = 0, end = source.size): Generator<Uint8Array> {
  const memory = new Uint8Array(Math.min(partLength, end - begin));
  for (let at = begin; at < end; at += partLength) yield source.read(at, Math.min(partLength, end - at), memory);
}

/** Part of a source; `what` names it where it would reach beyond the end. */
export function readPart(
  source: ByteSource,
  offset: number,
  length: number,
  what: string,
  Failure: Failure,
  memory?: Uint8Array,
): Uint8Array {
  if (offset < 0 || length < 0 || offset + length > source.size)
    throw new Failure(
      `${what}: bytes ${offset} to ${offset + length} were expected but there are ${source.size}; is the file whole?`,
    );
  return source.read(offset, length, memory);
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

interface View<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

/** Little-endian bytes as elements: the same memory where it is aligned, else a copy. */
export function elementsOf<T>(Elements: View<T>, bytes: Uint8Array): T {
  const width = Elements.BYTES_PER_ELEMENT;
  const from = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  return new Elements(from.buffer, from.byteOffset, Math.floor(from.byteLength / width));
}
