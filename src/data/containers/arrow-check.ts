import { viewOf } from "../../formats/bytes.ts";

/*
 * Arrow's messages are FlatBuffers: tables whose fields lie at offsets, and vectors that begin with their count. The package that reads them
 * believes every count and offset, also where they reach beyond the file. These are held to it before.
 */

/** Fields of a schema, and fields inside fields; more are no table of images. */
const MOST_FIELDS = 10_000;
const DEEPEST = 32;

const SCHEMA = 1;
const DICTIONARY = 2;
const BATCH = 3;

class Damaged extends Error {}

/** A part of the file that offsets must not leave. */
class Part {
  readonly view: DataView;
  fields = 0;
  constructor(bytes: Uint8Array) {
    this.view = viewOf(bytes);
  }

  int(at: number): number {
    if (at < 0 || at + 4 > this.view.byteLength) throw new Damaged("an offset leads out of it");
    return this.view.getInt32(at, true);
  }

  short(at: number): number {
    if (at < 0 || at + 2 > this.view.byteLength) throw new Damaged("an offset leads out of it");
    return this.view.getInt16(at, true);
  }

  /** Where a field of the table at `at` lies; undefined where the table has none. */
  field(at: number, index: number): number | undefined {
    const table = at + this.int(at);
    const fields = table - this.int(table);
    const offset = index < this.short(fields) ? this.short(fields + index) : 0;
    return offset === 0 ? undefined : table + offset;
  }

  /** The places of a vector's elements, of `stride` bytes each. */
  vector(at: number | undefined, stride: number): number[] {
    if (at === undefined) return [];
    const start = at + this.int(at);
    const count = this.int(start);
    if (count < 0 || start + 4 + count * stride > this.view.byteLength)
      throw new Damaged(`a list of ${count >>> 0} parts does not fit into it`);
    return Array.from({ length: count }, (_, i) => start + 4 + i * stride);
  }

  checkFields(places: readonly number[], depth: number): void {
    this.fields += places.length;
    if (this.fields > MOST_FIELDS || depth > DEEPEST) throw new Damaged("its columns are nested without end");
    for (const place of places) {
      this.checkTexts(this.field(place, 16));
      this.checkFields(this.vector(this.field(place, 14), 4), depth + 1);
    }
  }

  checkTexts(at: number | undefined): void {
    this.vector(at, 4);
  }

  checkSchema(at: number): void {
    this.checkFields(this.vector(this.field(at, 6), 4), 0);
    this.checkTexts(this.field(at, 8));
  }

  checkBatch(at: number): void {
    this.vector(this.field(at, 6), 16);
    this.vector(this.field(at, 8), 16);
    this.vector(this.field(at, 12), 8);
  }
}

/** Holds the message at `at` to the file. Gives where the next one begins; undefined where there is none. */
function checkMessage(bytes: Uint8Array, view: DataView, at: number): number | undefined {
  const number = (place: number): number => (place + 4 <= bytes.length ? view.getInt32(place, true) : 0);
  const marked = number(at) === -1;
  const start = at + (marked ? 8 : 4);
  const length = number(at + (marked ? 4 : 0));
  if (length === 0) return undefined;
  if (length < 0 || start + length > bytes.length)
    throw new Damaged(`a message of ${length >>> 0} bytes does not fit into it`);
  const part = new Part(bytes.subarray(start, start + length));
  const [type, header, body] = [6, 8, 10].map((index) => part.field(0, index));
  const size = body === undefined ? 0n : part.view.getBigInt64(body, true);
  if (size < 0n || size > BigInt(bytes.length - start - length))
    throw new Damaged(`a message of ${size} bytes does not fit into it`);
  if (header !== undefined) {
    const kind = type === undefined ? 0 : part.view.getUint8(type);
    if (kind === SCHEMA) part.checkSchema(header);
    else if (kind === BATCH) part.checkBatch(header);
    else if (kind === DICTIONARY) {
      const data = part.field(header, 6);
      if (data !== undefined) part.checkBatch(data);
    }
  }
  return start + length + Number(size);
}

/** Throws where the counts and offsets of an Arrow file or stream lead out of it. */
export function checkArrow(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  if (!String.fromCharCode(...bytes.subarray(0, 6)).startsWith("ARROW1")) {
    for (let at: number | undefined = 0; at !== undefined; ) at = checkMessage(bytes, view, at);
    return;
  }
  const end = bytes.length - 10;
  const length = end < 0 ? 0 : view.getInt32(end, true);
  if (length <= 0 || length > end) throw new Damaged("the list of its parts, at the end, is missing");
  const footer = new Part(bytes.subarray(end - length, end));
  const schema = footer.field(0, 6);
  if (schema !== undefined) footer.checkSchema(schema);
  for (const index of [8, 10])
    for (const place of footer.vector(footer.field(0, index), 24)) {
      const at = footer.view.getBigInt64(place, true);
      if (at < 0n || at >= BigInt(bytes.length)) throw new Damaged("a part lies outside of it");
      checkMessage(bytes, view, Number(at));
    }
  footer.checkTexts(footer.field(0, 12));
}
