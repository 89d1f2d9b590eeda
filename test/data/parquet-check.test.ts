import { join } from "node:path";
import { type ColumnMetaData, parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
import { getTreePath } from "hyparquet/src/schema.js";
import { type ColumnSource, parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { checkColumn } from "../../src/data/containers/parquet-check.ts";
import { checkThrift } from "../../src/data/containers/thrift-check.ts";
import { openDataset } from "../../src/data/dataset.ts";
import { DataError } from "../../src/errors.ts";
import { viewOf } from "../../src/formats/bytes.ts";
import { folderOf, plain } from "./make.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** A file with one column, and all that its check is told. */
function written(column: ColumnSource) {
  const file = new Uint8Array(parquetWriteBuffer({ columnData: [column], codec: "UNCOMPRESSED" }));
  const metadata = parquetMetadata(file);
  const [{ columns, num_rows } = { columns: [], num_rows: 0n }] = metadata.row_groups;
  const about = columns[0]!.meta_data as ColumnMetaData;
  const from = Number(about.dictionary_page_offset || about.data_page_offset);
  const bytes = file.subarray(from, from + Number(about.total_compressed_size));
  const path = getTreePath(parquetSchema(metadata), about.path_in_schema);
  return { file, metadata, column: { bytes, rows: Number(num_rows), about, path, codecs: {} } };
}

/** Bytes with some of them changed, which are found by what they were. */
function changed(bytes: Uint8Array, was: string, now: string): Uint8Array {
  const at = Buffer.from(bytes).indexOf(hex(was));
  expect(at).toBeGreaterThanOrEqual(0);
  const copy = new Uint8Array(bytes);
  copy.set(hex(now), at);
  return copy;
}

const words = ["aa", "ab", "abc"].map((text) => new TextEncoder().encode(text));
const constant: ColumnSource = {
  name: "label",
  data: Array.from({ length: 11 }, () => 1),
  type: "INT32",
  nullable: true,
};
const missing: ColumnSource = { name: "label", data: [1, null, 3], type: "INT32", nullable: true };
const differences: ColumnSource = { name: "label", data: [1, 2, 5], type: "INT32", encoding: "DELTA_BINARY_PACKED" };
const prefixes: ColumnSource = { name: "label", data: words, type: "BYTE_ARRAY", encoding: "DELTA_BYTE_ARRAY" };

describe("columns of parquet", () => {
  test.each<ColumnSource>([
    constant,
    missing,
    differences,
    prefixes,
    { name: "label", data: [1, 2, 2, 2], type: "INT32", encoding: "RLE_DICTIONARY" },
    { name: "label", data: [1n, 2n, 5n], type: "INT64", encoding: "DELTA_BINARY_PACKED" },
    { name: "label", data: words, type: "BYTE_ARRAY", encoding: "DELTA_LENGTH_BYTE_ARRAY" },
    { name: "label", data: [0.5, 1], type: "DOUBLE", encoding: "BYTE_STREAM_SPLIT" },
    { name: "label", data: [true, false, true], type: "BOOLEAN", encoding: "RLE" },
  ])("that are whole: $type, $encoding", async (source) => {
    const { file, metadata, column } = written(source);
    checkColumn(column);
    const read = { byteLength: file.length, slice: (from: number, to?: number) => file.slice(from, to).buffer };
    const rows = await parquetReadObjects({ file: read, metadata, utf8: false });
    expect(rows.map(({ label }) => label)).toEqual([...source.data]);
  });

  test.each<[string, ColumnSource, string, string, RegExp]>([
    ["a run", constant, "1601", "3e01", /31 values in a run, where 0 to 11 are possible/],
    ["a dictionary", constant, "4c 1502", "4c 157e", /63 values in a dictionary, where 0 to 4 are possible/],
    ["rows", missing, "1506 1502 1506", "1508 1502 1506", /4 values in a page, where 0 to 3 are possible/],
    ["missing values", missing, "1506 1502 1506", "1506 1508 1506", /4 missing values, where 0 to 3 are possible/],
    ["bytes of levels", missing, "1504 1500", "1544 1500", /34 bytes of levels, where 0 to 10 are possible/],
    ["bytes of a page", missing, "1514 1514", "1514 157e", /63 bytes in a page, where 0 to 10 are possible/],
    ["parts of a block", differences, "8001 04", "8001 00", /0 parts in a block of 128 values/],
    ["the value before", prefixes, "8001 0403 00", "8001 0403 04", /2 bytes as in the value before, where 0 to 0/],
  ])("whose counts are damaged: %s", (_, source, was, now, message) => {
    const { column } = written(source);
    expect(() => checkColumn({ ...column, bytes: changed(column.bytes, was, now) })).toThrow(message);
  });

  test("of lists are not read", () => {
    const { column } = written(missing);
    const [root, leaf] = column.path;
    const list = { ...leaf!, element: { ...leaf!.element, repetition_type: "REPEATED" as const } };
    expect(() => checkColumn({ ...column, path: [root!, list] })).toThrow(/a column of lists/);
  });
});

// The package that reads parquet is busy for minutes with each of these.
test.each([
  [
    "a run of 2^31 - 1 values",
    "RLE_DICTIONARY",
    "1601 0105f807",
    "feffffff0f 01",
    /2147483647 values in a run, where 0/,
  ],
  ["a block of -1 parts", "DELTA_BINARY_PACKED", "8001 04", "8001 ffffffff0f", /4294967295 parts in a block of 128/],
] as const)("a file with %s is refused", async (_, encoding, was, now, message) => {
  const labels = [1, 1, 1, ...Array.from({ length: 8 }, () => 2)];
  const image = await plain("#f00");
  const file = new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: "image", data: labels.map(() => image), type: "BYTE_ARRAY" },
        { name: "label", data: labels, type: "INT32", encoding },
      ],
      codec: "UNCOMPRESSED",
    }),
  );
  const folder = await folderOf({ "x.parquet": changed(file, was, now) });
  const error: unknown = await openDataset(join(folder, "x.parquet"), { cache: false }).catch(
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(DataError);
  expect((error as DataError).message).toMatch(/x.parquet: cannot be read as parquet \(/);
  expect((error as DataError).message).toMatch(message);
});

describe("what parquet says of itself", () => {
  const check = (text: string) => () => {
    const reader = { view: viewOf(hex(text)), offset: 0 };
    checkThrift(reader);
    return reader.offset;
  };
  test.each([
    [
      "numbers, texts, lists, structures and both truths",
      "15 02 18 02 6162 19 25 0204 1c 15 02 00 11 12 17 0000000000000000 00",
    ],
    ["lists of truths, and of more than 14 parts", "19 21 0102 19 f3 0f 000102030405060708090a0b0c0d0e 00"],
  ])("%s are read to their end", (_, text) => {
    expect(check(text)()).toBe(hex(text).length);
  });
  test.each([
    ["a list", "19 f3 ffffff7f 00", /a list of 268435455 parts does not fit into it/],
    ["a text", "18 ff7f 00", /a text of 16383 bytes does not fit into it/],
    ["a number", "15 ffffffffffffffffffffff 00", /a number has more than 10 bytes/],
    ["nesting", "1c".repeat(40), /nested without end/],
    ["nesting of lists", "19 19".padEnd(200, "19"), /nested without end/],
    ["a type", "1d 00", /the unknown type 13/],
  ])("%s that leads out of it is refused", (_, text, message) => {
    expect(check(text)).toThrow(message);
  });
});
