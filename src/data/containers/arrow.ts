import { type DataType, Type, tableFromIPC } from "@uwdata/flechette";
import { DataError } from "../../errors.ts";
import { messageOf } from "../../one-line.ts";
import { checkArrow } from "./arrow-check.ts";
import type { Table } from "./tables.ts";

/** Opens an Arrow file or stream, which lies in memory. */
export function arrowTable(bytes: Uint8Array, what: string): Table {
  const readable = <T>(read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      throw new DataError(`${what}: cannot be read as Arrow (${messageOf(cause)}); is the file whole?`, { cause });
    }
  };
  const table = readable(() => {
    checkArrow(bytes);
    return tableFromIPC(bytes);
  });
  const { fields, metadata } = table.schema;
  const child = (name: string) => {
    const column = table.getChild(name);
    if (column.length !== table.numRows)
      throw new RangeError(`${table.numRows} rows, but its column ${name} has ${column.length}`);
    return column;
  };
  return {
    what,
    rows: table.numRows,
    size: bytes.length,
    columns: fields.map(({ name, type }) => ({ name, bytes: holdsBytes(type), nested: isNested(type) })),
    metadata: (key) => metadata?.get(key),
    column: async (name) => readable(() => [...child(name)]),
    cell: async (name, row) => readable(() => child(name).at(row)),
  };
}

/** The types of a value's parts, where it has some. */
const partsOf = (type: DataType): readonly DataType[] | undefined =>
  "children" in type && Array.isArray(type.children) ? type.children.map((field) => field.type) : undefined;

const isNested = (type: DataType): boolean => partsOf(type) !== undefined;

/** Bytes, or a structure of bytes and texts, as the hub's images. */
const holdsBytes = (type: DataType): boolean =>
  type.typeId === Type.Binary ||
  type.typeId === Type.LargeBinary ||
  (type.typeId === Type.Struct &&
    partsOf(type)!.every((part) => !isNested(part)) &&
    partsOf(type)!.some((part) => holdsBytes(part)));
