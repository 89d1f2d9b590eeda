import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import {
  type Compressors,
  type FileMetaData,
  parquetMetadata,
  parquetReadObjects,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
  snappyUncompress,
} from "hyparquet";
import { getTreePath } from "hyparquet/src/schema.js";
import { DataError } from "../../errors.ts";
import { type ByteSource, viewOf } from "../../formats/bytes.ts";
import { messageOf } from "../../one-line.ts";
import { checkColumn, mostUnpacked } from "./parquet-check.ts";
import type { Table } from "./tables.ts";
import { checkThrift } from "./thrift-check.ts";

/** Rows beyond these are no images; a file that says so is damaged. */
const MOST_ROWS = 1e8;
/** The last bytes of a file, "PAR1". */
const MAGIC = 0x31524150;
/** Groups of rows that are kept unpacked: images are decoded in order, some at a time. */
const KEPT = 2;

type Codec = keyof Compressors;

/** A codec that is not asked for more than it can give: a page says how long it will be. */
const bounded =
  (name: string, unpack: (input: Uint8Array, length: number) => Uint8Array) => (input: Uint8Array, length: number) => {
    if (!(length >= 0 && length <= mostUnpacked(input.length)))
      throw new RangeError(`a page packed by ${name} says that it has ${length} bytes`);
    return unpack(input, length);
  };

const codecs: Compressors = {
  SNAPPY: bounded("snappy", (input, length) => {
    const output = new Uint8Array(length);
    snappyUncompress(input, output);
    return output;
  }),
  GZIP: bounded("gzip", (input, length) => gunzipSync(input, { maxOutputLength: Math.max(1, length) })),
  BROTLI: bounded("brotli", (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) })),
  ZSTD: bounded("zstd", (input, length) => decompress(input, new Uint8Array(length))),
} satisfies Partial<Record<Codec, unknown>>;

/** Opens a parquet file: its columns and how many rows it has. Its groups of rows are read when a row of them is asked for. */
export async function parquetTable(bytes: Pick<ByteSource, "read">, size: number, what: string): Promise<Table> {
  const file = {
    byteLength: size,
    slice(start: number, end = size): ArrayBuffer {
      if (!(start >= 0 && end >= start && end <= size)) throw new RangeError(`bytes ${start} to ${end} of ${size}`);
      return new Uint8Array(bytes.read(start, end - start)).buffer;
    },
  };
  const readable = async <T>(read: () => T | Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (cause) {
      throw new DataError(`${what}: cannot be read as parquet (${messageOf(cause)}); is the file whole?`, { cause });
    }
  };
  const { metadata, tree } = await readable(() => described(bytes, size));
  const groups = groupsOf(metadata, what);
  const rows = groups.at(-1)?.end ?? 0;
  const check = (name: string, { start, end, columns }: Group): void => {
    for (const { meta_data: about } of columns) {
      if (about?.path_in_schema[0] !== name) continue;
      const from = Number(about.dictionary_page_offset || about.data_page_offset);
      const pages = new Uint8Array(file.slice(from, from + Number(about.total_compressed_size)));
      checkColumn({ bytes: pages, rows: end - start, about, path: getTreePath(tree, about.path_in_schema), codecs });
    }
  };
  const read = (name: string, rowStart: number, rowEnd: number) =>
    readable(() => {
      for (const group of groups) if (group.start < rowEnd && group.end > rowStart) check(name, group);
      const options = { file, metadata, columns: [name], rowStart, rowEnd, compressors: codecs, utf8: false };
      return parquetReadObjects(options);
    });

  const kept = new Map<string, Promise<Record<string, unknown>[]>>();
  return {
    what,
    rows,
    size,
    columns: tree.children.map((node) => ({
      name: node.element.name ?? "",
      bytes: holdsBytes(node),
      nested: node.children.length > 0 || node.element.repetition_type === "REPEATED",
    })),
    metadata: (key) => metadata.key_value_metadata?.find((entry) => entry.key === key)?.value,
    column: async (name) => (await read(name, 0, rows)).map((row) => row[name]),
    async cell(name, row) {
      const group = groups.find(({ end }) => row < end)!;
      const key = `${name} ${group.start}`;
      const found = kept.get(key) ?? read(name, group.start, group.end);
      kept.delete(key);
      kept.set(key, found);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
      return (await found)[row - group.start]?.[name];
    },
  };
}

/** What a file says of itself, at its end, and its schema. */
function described(bytes: Pick<ByteSource, "read">, size: number): { metadata: FileMetaData; tree: SchemaTree } {
  const part = (length: number): Uint8Array => {
    if (length > size) throw new RangeError(`its description has ${length} bytes, the file ${size}`);
    return bytes.read(size - length, length);
  };
  const end = part(8 + viewOf(part(8)).getUint32(0, true));
  const view = viewOf(end);
  if (view.getUint32(end.length - 4, true) !== MAGIC) throw new RangeError("it does not end as parquet does");
  checkThrift({ view, offset: 0 });
  const metadata = parquetMetadata(end);
  const stored = metadata.row_groups
    .flatMap(({ columns }) => columns)
    .reduce((sum, { meta_data: about }) => sum + Number(about?.total_compressed_size ?? 0), 0);
  if (!(stored <= size)) throw new RangeError(`its columns have ${stored} bytes, the file ${size}`);
  return { metadata, tree: parquetSchema(metadata) };
}

/** Rows that are stored together. */
interface Group {
  readonly start: number;
  readonly end: number;
  readonly columns: RowGroup["columns"];
}

function groupsOf({ row_groups }: FileMetaData, what: string): Group[] {
  let start = 0;
  return row_groups.map(({ num_rows, columns }) => {
    const count = Number(num_rows);
    if (!(count >= 0 && start + count <= MOST_ROWS))
      throw new DataError(`${what}: the count of rows is damaged (${count})`);
    const group = { start, end: start + count, columns };
    start = group.end;
    return group;
  });
}

/** Whether a column holds bytes that mean nothing else, by itself or in a structure as the hub's images. */
const holdsBytes = ({ element, children }: SchemaTree): boolean =>
  element.converted_type === undefined &&
  element.logical_type === undefined &&
  element.repetition_type !== "REPEATED" &&
  (element.type === "BYTE_ARRAY" || children.some(holdsBytes));
