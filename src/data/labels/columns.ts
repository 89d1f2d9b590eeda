import { listed } from "../../class-names.ts";
import { DataError } from "../../errors.ts";

/** A table that describes images: a row each, by column. */
export interface Table {
  /** Its path, for messages. */
  readonly path: string;
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Columns that are the label where they are there, the first of them. */
const USUAL = ["label", "labels", "class", "class_name", "category"];
const FILES = ["file_name", "filename", "file", "image", "image_name", "image_path", "path", "image_id", "id", "name"];

const find = (columns: readonly string[], wanted: string): string | undefined =>
  columns.find((name) => name === wanted) ?? columns.find((name) => name.toLowerCase() === wanted.toLowerCase());
const firstOf = (columns: readonly string[], names: readonly string[]): string | undefined =>
  names.map((name) => find(columns, name)).find((name) => name !== undefined);

/** The first column with a usual name for labels. */
export const usualLabelColumn = (columns: readonly string[]): string | undefined => firstOf(columns, USUAL);

/** A number that is not whole. */
const MEASURED = /^[-+]?(?!\d+\.0+$)\d*\.\d+(e[-+]?\d+)?$/i;

/** The column that names the images; undefined where there is none. */
export const fileColumn = (columns: readonly string[]): string | undefined => firstOf(columns, FILES);

/** A class as a table has it: text, a whole number, yes or no. Undefined for other values, as measured numbers; "" where there is none. */
export function classOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean" || (typeof value === "number" && Number.isInteger(value))) return String(value);
  if (typeof value !== "string" || MEASURED.test(value.trim())) return undefined;
  // Programs that know no whole numbers with gaps write 3.0.
  return value
    .trim()
    .replace(/^(-?\d+)\.0+$/, "$1")
    .normalize("NFC");
}

/** Whether a column seems to hold classes: few values, each of several images, and no measured numbers. */
function isCategorical({ rows }: Table, column: string): boolean {
  const values = rows.map((row) => classOf(row[column]));
  if (values.includes(undefined)) return false;
  const distinct = new Set(values.filter((value) => value !== "")).size;
  return distinct > 1 && distinct <= rows.length / 2;
}

/**
 * The column with the classes: the one that is asked for, one with a usual name, or the only one that seems to hold classes. Undefined
 * where none does.
 *
 * @throws DataError where the column that is asked for is not there, or several seem to hold classes
 */
export function labelColumn(table: Table, files: string, asked: string | undefined): string | undefined {
  const columns = table.columns.filter((name) => name !== files);
  const has = `its columns are ${listed(table.columns)}`;
  if (asked !== undefined) {
    const found = find(columns, asked);
    if (found === undefined)
      throw new DataError(`${table.path}: there is no column "${asked}" for --label-column; ${has}`);
    return found;
  }
  const usual = usualLabelColumn(columns);
  if (usual !== undefined) return usual;
  const [first, ...others] = columns.filter((name) => isCategorical(table, name));
  if (others.length > 0)
    throw new DataError(
      `${table.path}: which column is the label? ${listed([first!, ...others])} may be; give --label-column NAME, or --labels from-folder to go by folders`,
    );
  return first;
}
