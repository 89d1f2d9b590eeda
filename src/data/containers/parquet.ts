import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import {
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  snappyUncompress,
} from "hyparquet";
import { DataError } from "../../errors.ts";
import type { ByteSource } from "../../formats/bytes.ts";
import { messageOf } from "../../one-line.ts";
import type { Table } from "./tables.ts";

/** Rows beyond these are no images; a file that says so is damaged. */
const MOST_ROWS = 1e8;
/** Groups of rows that are kept unpacked: images are decoded in order, some at a time. */
const KEPT = 2;
/** What one page may become when it is unpacked, as a multiple of its bytes: no codec gets further on pictures. */
const MOST_EXPANSION = 4096;

type Codec = keyof Compressors;

/** A codec that is not asked for more than it can give: a page says how long it will be. */
const bounded =
  (name: string, unpack: (input: Uint8Array, length: number) => Uint8Array) => (input: Uint8Array, length: number) => {
    if (!(length >= 0 && length <= input.length * MOST_EXPANSION + 2 ** 20))
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
  const readable = async <T>(read: () => Promise<T>): Promise<T> =>
    read().catch((cause: unknown) => {
      throw new DataError(`${what}: cannot be read as parquet (${messageOf(cause)}); is the file whole?`, { cause });
    });
  const metadata = await readable(() => parquetMetadataAsync(file));
  const groups = groupsOf(metadata, what);
  const rows = groups.at(-1)?.end ?? 0;
  const read = (columns: string[], rowStart: number, rowEnd: number) =>
    readable(() => parquetReadObjects({ file, metadata, columns, rowStart, rowEnd, compressors: codecs, utf8: false }));

  const kept = new Map<string, Promise<Record<string, unknown>[]>>();
  return {
    what,
    rows,
    size,
    columns: columnsOf(metadata),
    metadata: (key) => metadata.key_value_metadata?.find((entry) => entry.key === key)?.value,
    column: async (name) => (await read([name], 0, rows)).map((row) => row[name]),
    async cell(name, row) {
      const group = groups.find(({ end }) => row < end)!;
      const key = `${name} ${group.start}`;
      const found = kept.get(key) ?? read([name], group.start, group.end);
      kept.delete(key);
      kept.set(key, found);
      if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
      return (await found)[row - group.start]?.[name];
    },
  };
}

function groupsOf({ row_groups }: FileMetaData, what: string): { start: number; end: number }[] {
  let start = 0;
  return row_groups.map(({ num_rows }) => {
    const count = Number(num_rows);
    if (!(count >= 0 && start + count <= MOST_ROWS))
      throw new DataError(`${what}: the count of rows is damaged (${count})`);
    const group = { start, end: start + count };
    start = group.end;
    return group;
  });
}

/** Names of the columns, and whether they hold bytes, by themselves or in a structure as the hub's images. */
function columnsOf({ schema }: FileMetaData): Table["columns"] {
  const [root, ...others] = schema;
  const columns: { name: string; bytes: boolean }[] = [];
  let at = 0;
  /** Skips an element and those inside; whether bytes are among them. */
  const take = (): boolean => {
    const element = others[at++];
    if (!element) return false;
    let bytes = element.type === "BYTE_ARRAY" && element.converted_type !== "UTF8";
    for (let i = 0; i < (element.num_children ?? 0) && at < others.length; i++) bytes = take() || bytes;
    return bytes;
  };
  for (let i = 0; i < (root?.num_children ?? 0) && at < others.length; i++) {
    const name = others[at]!.name;
    columns.push({ name, bytes: take() });
  }
  return columns;
}
