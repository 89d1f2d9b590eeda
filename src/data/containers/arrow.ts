import { type DataType, Type, tableFromIPC } from "@uwdata/flechette";
import { DataError } from "../../errors.ts";
import type { Table } from "./tables.ts";

/** Opens an Arrow file or stream, which lies in memory. */
export function arrowTable(bytes: Uint8Array, what: string): Table {
  const readable = <T>(read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DataError(
        `${what}: cannot be read as Arrow (${reason.replace(/\s*\n\s*/g, "; ")}); is the file whole?`,
        { cause },
      );
    }
  };
  const table = readable(() => tableFromIPC(bytes));
  const child = (name: string) => table.getChild(name);
  return {
    what,
    rows: table.numRows,
    columns: table.schema.fields.map(({ name, type }) => ({ name, bytes: holdsBytes(type) })),
    metadata: (key) => table.schema.metadata?.get(key),
    column: async (name) => readable(() => [...child(name)]),
    cell: async (name, row) => readable(() => child(name).at(row)),
  };
}

const holdsBytes = (type: DataType): boolean =>
  type.typeId === Type.Binary ||
  type.typeId === Type.LargeBinary ||
  (type.typeId === Type.Struct && type.children.some((field) => holdsBytes(field.type)));
