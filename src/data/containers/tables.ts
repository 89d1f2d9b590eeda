import { listed } from "../../class-names.ts";
import { counted } from "../../counted.ts";
import { DataError } from "../../errors.ts";
import type { Entry } from "../entries.ts";
import { classOf, usualLabelColumn } from "../labels/columns.ts";

/** A table of images, as data sets of the Hugging Face hub are stored: parquet or Arrow. */
export interface Table {
  /** Its path, for messages. */
  readonly what: string;
  readonly rows: number;
  /** Bytes of the file. */
  readonly size: number;
  /** Columns; whether they hold bytes, by themselves or in a structure, and whether a value has parts. */
  readonly columns: readonly { readonly name: string; readonly bytes: boolean; readonly nested?: boolean }[];
  /** An entry of what the file says of itself. */
  metadata(key: string): string | undefined;
  /** All values of a column. */
  column(name: string): Promise<readonly unknown[]>;
  /** One value. */
  cell(name: string, row: number): Promise<unknown>;
}

/** What `datasets` says of a column. */
interface Feature {
  readonly _type?: unknown;
  readonly names?: unknown;
}

/** Columns of images where `datasets` says nothing. */
const IMAGES = ["image", "img", "images", "picture", "jpg", "png", "pixels", "bytes"];

/** The features that `datasets` has written into the file; none where it was not written by it. */
function featuresOf(table: Table): Readonly<Record<string, Feature | undefined>> {
  try {
    const features: unknown = JSON.parse(table.metadata("huggingface") ?? "{}")?.info?.features;
    return typeof features === "object" && features !== null ? (features as Record<string, Feature>) : {};
  } catch {
    return {};
  }
}

/** The images of a table as entries with their labels; their paths are below `folder`. */
export async function listTable(table: Table, folder: string, asked: string | undefined): Promise<Entry[]> {
  const { what, columns, rows, size } = table;
  if (rows > size)
    throw new DataError(
      `${what}: it says that it has ${counted(rows, "row")}, more than there are bytes (${size}); it is damaged`,
    );
  const features = featuresOf(table);
  const names = columns.map(({ name }) => name);
  const images = imageColumn(table, features);
  const labels = labelColumn(
    names.filter((name) => name !== images),
    features,
    what,
    asked,
  );
  if (columns.some(({ name, nested }) => name === labels && nested))
    throw new DataError(
      `${what}: expected names or whole numbers in the column ${labels} but its values have parts; give --label-column NAME`,
    );
  const classes = labels === undefined ? undefined : await classesOf(table, labels, features[labels]);
  const digits = String(Math.max(0, table.rows - 1)).length;
  const says = labels === undefined ? `its columns (${listed(names)})` : `column ${labels}`;
  return Array.from({ length: table.rows }, (_, row) => ({
    path: `${folder}/${String(row).padStart(digits, "0")}`,
    told: { className: classes?.[row], says },
    read: async () => bytesOf(await table.cell(images, row)),
  }));
}

function imageColumn({ what, columns }: Table, features: Readonly<Record<string, Feature | undefined>>): string {
  const able = columns.filter(({ name, bytes }) => bytes && (features[name]?._type ?? "Image") === "Image");
  const found = IMAGES.map((wanted) => able.find(({ name }) => name.toLowerCase() === wanted)).find(Boolean) ?? able[0];
  if (!found)
    throw new DataError(
      `${what}: expected a column of encoded images (bytes, as PNG or JPEG) but its columns are ${listed(columns.map(({ name }) => name))}`,
    );
  return found.name;
}

/** The column of labels: the one that is asked for, else one of classes by what `datasets` says, or by its usual name. */
function labelColumn(
  names: readonly string[],
  features: Readonly<Record<string, Feature | undefined>>,
  what: string,
  asked: string | undefined,
): string | undefined {
  if (asked !== undefined) {
    if (names.includes(asked)) return asked;
    throw new DataError(`${what}: there is no column "${asked}" for --label-column; its columns are ${listed(names)}`);
  }
  const classes = names.filter((name) => features[name]?._type === "ClassLabel");
  const found = usualLabelColumn(classes) ?? (classes.length > 1 ? undefined : (classes[0] ?? usualLabelColumn(names)));
  if (found === undefined && classes.length > 1)
    throw new DataError(`${what}: which column is the label? ${listed(classes)} may be; give --label-column NAME`);
  return found;
}

/** Classes of all rows by name; undefined where a row has none, which `datasets` writes as -1. */
async function classesOf(table: Table, column: string, feature: Feature | undefined): Promise<(string | undefined)[]> {
  const names = Array.isArray(feature?.names) ? feature.names.map(String) : undefined;
  const values = await table.column(column);
  if (values.length !== table.rows)
    throw new DataError(
      `${table.what}: ${counted(table.rows, "row")} expected but its column ${column} has ${values.length}`,
    );
  return values.map((raw, row) => {
    const value =
      typeof raw === "bigint" ? Number(raw) : raw instanceof Uint8Array ? new TextDecoder().decode(raw) : raw;
    const found = classOf(value);
    if (found === undefined)
      throw new DataError(
        `${table.what}: expected names or whole numbers in the column ${column} but row ${row} has ${String(value).slice(0, 80)}; give --label-column NAME`,
      );
    if (found === "" || (names && found === "-1")) return undefined;
    if (!names || typeof value !== "number") return found;
    const name = names[value];
    if (name === undefined)
      throw new DataError(
        `${table.what}: row ${row} has label ${value} but its column ${column} names ${counted(names.length, "class", "classes")}`,
      );
    return name.normalize("NFC");
  });
}

/** The bytes of an image: a value, or the part "bytes" of one. */
function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const { bytes, path } = (value ?? {}) as { bytes?: unknown; path?: unknown };
  if (bytes instanceof Uint8Array) return bytes;
  const name = path instanceof Uint8Array ? new TextDecoder().decode(path) : path;
  throw new DataError(
    typeof name === "string" ? `only the path of an image is stored (${name}), not its bytes` : "there is no image",
  );
}
