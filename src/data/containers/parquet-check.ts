import type { ColumnMetaData, Compressors, DataReader, SchemaTree } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel, isFlatColumn } from "hyparquet/src/schema.js";
import { viewOf } from "../../formats/bytes.ts";
import { checkThrift } from "./thrift-check.ts";

/*
 * A column in a group of rows is pages. Each has a header, levels that tell which values are missing, and values. The package that reads them believes
 * every count: a run of two thousand million values keeps it busy for minutes. Here counts are held to the rows and the bytes before it reads.
 */

/** Structures inside structures; more are no table of images. */
const DEEPEST = 32;
/** What bytes may become when they are unpacked, as a multiple: no codec gets further on pictures. */
const MOST_EXPANSION = 4096;

export const mostUnpacked = (bytes: number): number => bytes * MOST_EXPANSION + 2 ** 20;

/** A column in one group of rows. */
export interface Column {
  /** Its pages. */
  readonly bytes: Uint8Array;
  /** How many rows the group has. */
  readonly rows: number;
  readonly about: Pick<ColumnMetaData, "codec" | "type">;
  /** The elements of the schema, from the root to the column. */
  readonly path: SchemaTree[];
  readonly codecs: Compressors;
}

/** Holds a count to 0 ... `most`. */
function held(value: unknown, most: number, what: string): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most) return value as number;
  throw new RangeError(`${String(value)} ${what}, where 0 to ${most} are possible`);
}

/** Throws a RangeError where counts in a column lead out of its rows or its bytes. */
export function checkColumn(column: Column): void {
  const { bytes, path, rows } = column;
  if (path.length > DEEPEST) throw new RangeError("its columns are nested without end");
  if (getMaxRepetitionLevel(path) > 0)
    throw new RangeError("a column of lists, where one value in each row was expected");
  const flat = isFlatColumn(path);
  const reader = { view: viewOf(bytes), offset: 0 };
  for (let seen = 0; reader.offset < bytes.length - 1 && !(flat && seen >= rows); )
    seen += checkPage(column, reader, rows - seen);
}

/** Checks the page at the reader's place, and moves behind it. Gives how many values it has; `most` are possible. */
function checkPage(column: Column, reader: DataReader, most: number): number {
  checkThrift({ ...reader });
  const header = parquetHeader(reader);
  const packed = held(header.compressed_page_size, reader.view.byteLength - reader.offset, "bytes in a page");
  const page = new Uint8Array(reader.view.buffer, reader.view.byteOffset + reader.offset, packed);
  reader.offset += packed;
  const length = held(header.uncompressed_page_size, mostUnpacked(packed), "bytes in an unpacked page");
  const unpack = (part: Uint8Array, size: number) =>
    viewOf(decompressPage(part, size, column.about.codec, column.codecs));
  const { data_page_header: first, data_page_header_v2: second } = header;
  if (header.type === "DICTIONARY_PAGE")
    held(header.dictionary_page_header?.num_values, length, "values in a dictionary");
  if (header.type === "DATA_PAGE" && first) {
    const count = held(first.num_values, most, "values in a page");
    const values = { view: unpack(page, length), offset: 0 };
    const given = checkLevels(values, column.path, count);
    if (RUNS.has(first.encoding)) {
      const own = column.about.type === "BOOLEAN";
      const width = own ? 1 : values.view.getUint8(values.offset++);
      if (width > 0) checkRuns(values, width, given, own);
    } else checkValues(column, values, first.encoding, given);
    return count;
  }
  if (header.type === "DATA_PAGE_V2" && second) {
    const count = held(second.num_values, most, "values in a page");
    const given = count - held(second.num_nulls, count, "missing values");
    const repetitions = held(second.repetition_levels_byte_length, packed, "bytes of levels");
    const levels = held(second.definition_levels_byte_length, packed - repetitions, "bytes of levels");
    const start = { view: viewOf(page), offset: repetitions };
    checkLevels(start, column.path, count, levels);
    const size = held(length - repetitions - levels, length, "bytes of values");
    const rest = page.subarray(start.offset);
    const values = { view: second.is_compressed !== false && size > 0 ? unpack(rest, size) : viewOf(rest), offset: 0 };
    if (RUNS.has(second.encoding)) {
      const own = second.encoding === "RLE";
      checkRuns(values, own ? 1 : values.view.getUint8(values.offset++), given, own);
    } else checkValues(column, values, second.encoding, given);
    return count;
  }
  return 0;
}

/** Encodings in runs. */
const RUNS: ReadonlySet<string> = new Set(["RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY"]);

/** Checks levels and moves behind them: as many bytes as they say, or `length`. Gives how many of `count` values are not missing. */
function checkLevels(reader: DataReader, path: SchemaTree[], count: number, length?: number): number {
  const deepest = getMaxDefinitionLevel(path);
  if (deepest === 0) return count;
  const width = 32 - Math.clz32(deepest);
  checkRuns(reader, width, count, length === undefined);
  const levels = new Array<number>(count);
  readRleBitPackedHybrid(reader, width, levels, length);
  return levels.filter((level) => level === deepest).length;
}

/** Checks runs of `count` values of `width` bits, where `own` with their length before them. */
function checkRuns({ view, offset }: DataReader, width: number, count: number, own: boolean): void {
  held(width, 32, "bits in a value");
  const reader = { view, offset: offset + (own ? 4 : 0) };
  for (let seen = 0; seen < count; ) {
    const head = varint(reader);
    const size = head >>> 1;
    if (head % 2 === 0) {
      seen += held(size, count - seen, "values in a run");
      reader.offset += Math.ceil(width / 8);
    } else {
      // In eights, of which the last may be more than there are values.
      seen += 8 * held(size, width === 0 ? Math.ceil((count - seen) / 8) : view.byteLength, "packed values in a run");
      reader.offset += Math.max(1, width * size);
    }
  }
}

/** A number of 32 bits, seven in a byte. */
function varint(reader: DataReader): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.view.getUint8(reader.offset++);
    value += (byte & 127) * scale;
    if (byte < 128) return held(value, 2 ** 32 - 1, "values in a run");
  }
}

/** Checks `count` values that are not in runs. */
function checkValues({ about, path }: Column, reader: DataReader, encoding: string | undefined, count: number): void {
  const size = reader.view.byteLength;
  if (encoding === "BYTE_STREAM_SPLIT" && about.type === "FIXED_LEN_BYTE_ARRAY")
    held(count * (path.at(-1)?.element.type_length ?? 0), size, "bytes of values");
  else if (encoding === "DELTA_BYTE_ARRAY") {
    const [shared, own] = [differences(reader, count), differences(reader, count)];
    let [before, sum] = [0, 0];
    for (let i = 0; i < count; i++) {
      before = held(shared[i], before, "bytes as in the value before") + held(own[i], size, "bytes of a value");
      sum = held(sum + before, mostUnpacked(size), "bytes of values");
    }
  } else if (encoding?.startsWith("DELTA")) checkBlocks(reader);
}

/** Whole numbers that are stored as differences. */
function differences(reader: DataReader, count: number): Int32Array {
  checkBlocks(reader);
  const values = new Int32Array(count);
  deltaBinaryUnpack(reader, count, values);
  return values;
}

/** Differences come in blocks of some parts: as many as they say, and none of less than nothing. */
function checkBlocks({ view, offset }: DataReader): void {
  const reader = { view, offset };
  const block = varint(reader);
  const parts = varint(reader);
  if (!(parts > 0 && parts <= Math.min(block, view.byteLength) && block < 2 ** 31))
    throw new RangeError(`${parts} parts in a block of ${block} values`);
}
