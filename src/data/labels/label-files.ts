import { listed } from "../../class-names.ts";
import { counted } from "../../counted.ts";
import { DataError } from "../../errors.ts";
import { decodeText, parseCsv } from "../../formats/csv.ts";
import type { Entry, Skipped } from "../entries.ts";
import { baseName } from "../layout.ts";
import { classOf, fileColumn, labelColumn, type Table } from "./columns.ts";

/** Classes of the images below a folder, from a file in it. */
interface LabelFile {
  readonly path: string;
  /** Said of where labels came from. */
  readonly says: string;
  /** Class by name of the image, relative to the file's folder; "" where the file gives none. */
  readonly classes: ReadonlyMap<string, string>;
  /** The file says that there are no labels. */
  readonly none?: boolean;
}

/** What the label files of a data set say. */
export interface FoundLabels {
  /** Paths of the files. */
  readonly paths: ReadonlySet<string>;
  /** What is said of an image: its class and the file, or the file alone where it gives none; undefined where no file covers the image. */
  of(path: string): { readonly className: string | undefined; readonly says: string } | undefined;
  /** Whether a file says that there are no labels. */
  readonly none: boolean;
  /** Images that a file names but that are not there. */
  readonly missing: readonly Skipped[];
  readonly notes: readonly string[];
}

export const LABEL_FILES = "dataset.json, metadata.csv, metadata.jsonl, labels.csv";

const normal = (path: string): string =>
  path
    .replaceAll("\\", "/")
    .replace(/^(\.\/)+/, "")
    .normalize("NFC");
const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);

type Reader = (entry: Entry, labelColumn: string | undefined) => Promise<LabelFile | string>;

const textOf = async ({ path, read }: Entry): Promise<string> => decodeText(await read(), path);

function json(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where}: not JSON (${(cause as Error).message}); was it cut short?`, { cause });
  }
}

/** `{"labels": [["00000/img00000000.png", 3], ...]}`, or null, as EDM and StyleGAN have it; a label may be one-hot. */
const datasetJson: Reader = async (entry) => {
  const { path } = entry;
  const content = json(await textOf(entry), path);
  const labels = (content as { labels?: unknown } | null)?.labels;
  if (labels === undefined) return `${path} has no "labels" and is not used`;
  if (labels === null) return { path, says: baseName(path), classes: new Map(), none: true };
  const pairs = Array.isArray(labels) ? labels : typeof labels === "object" ? Object.entries(labels) : undefined;
  if (!pairs)
    throw new DataError(`${path}: expected "labels" to be a list of [file, class] but it is ${typeof labels}`);
  const classes = pairs.map((pair: unknown, i): [string, string] => {
    const [name, label] = Array.isArray(pair) ? pair : [];
    const found = Array.isArray(label) ? oneHot(label) : classOf(label);
    if (typeof name !== "string" || found === undefined)
      throw new DataError(
        `${path}: expected [file, class] with a whole number or a name as class, but labels[${i}] is ${JSON.stringify(pair)?.slice(0, 80)}`,
      );
    return [normal(name), found];
  });
  return { path, says: baseName(path), classes: new Map(classes) };
};

/** The place of the 1 in a list of zeros; undefined where it is another list. */
function oneHot(values: readonly unknown[]): string | undefined {
  const ones = values.filter((value) => value === 1).length;
  const zeros = values.filter((value) => value === 0).length;
  return ones === 1 && zeros === values.length - 1 ? String(values.indexOf(1)) : undefined;
}

/** A table with a column of file names and one of classes. */
function fromTable(table: Table, asked: string | undefined): LabelFile | string {
  const { path, columns, rows } = table;
  const files = fileColumn(columns);
  if (files === undefined) return `${path} names no files (its columns are ${listed(columns)}) and is not used`;
  const column = labelColumn(table, files, asked);
  if (column === undefined)
    return `${path} tells no classes (its columns are ${listed(columns)}); --label-column NAME takes one as the label`;
  const classes = rows.map((row, i): [string, string] => {
    const found = classOf(row[column]);
    if (typeof row[files] !== "string" && typeof row[files] !== "number")
      throw new DataError(`${path}: row ${i + 1} names no file in its column ${files}`);
    if (found === undefined)
      throw new DataError(
        `${path}: expected names or whole numbers in the column ${column} but row ${i + 1} has ${JSON.stringify(row[column])?.slice(0, 80)}`,
      );
    return [normal(String(row[files])), found];
  });
  return { path, says: `${baseName(path)}, column ${column}`, classes: new Map(classes) };
}

const csv: Reader = async (entry, asked) => {
  const { path } = entry;
  const [columns = [], ...rows] = parseCsv(await textOf(entry), path);
  const wrong = rows.findIndex((row) => row.length !== columns.length);
  if (wrong >= 0)
    throw new DataError(
      `${path}: expected ${columns.length} fields in row ${wrong + 1} but there are ${rows[wrong]!.length}`,
    );
  const records = rows.map((row) => Object.fromEntries(row.map((field, i) => [columns[i]!, field])));
  return fromTable({ path, columns, rows: records }, asked);
};

const jsonLines: Reader = async (entry, asked) => {
  const { path } = entry;
  const lines = (await textOf(entry)).split(/\r?\n/).filter((line) => line.trim() !== "");
  const rows = lines.map((line, i) => {
    const row = json(line, `${path}, line ${i + 1}`);
    if (typeof row !== "object" || row === null)
      throw new DataError(`${path}, line ${i + 1}: expected an object but it is ${line.slice(0, 80)}`);
    return row as Record<string, unknown>;
  });
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return fromTable({ path, columns, rows }, asked);
};

/** The test images of tiny-imagenet: name, class and box in each line, for the folder images/ beside. */
const annotations: Reader = async (entry) => {
  const { path } = entry;
  const rows = (await textOf(entry)).split(/\r?\n/).filter((line) => line !== "");
  const classes = rows.map((line): [string, string] => {
    const [name = "", label = ""] = line.split("\t");
    return [normal(name), label.normalize("NFC")];
  });
  return { path, says: baseName(path), classes: new Map(classes) };
};

const readers: Readonly<Record<string, Reader>> = {
  "dataset.json": datasetJson,
  "metadata.csv": csv,
  "metadata.jsonl": jsonLines,
  "labels.csv": csv,
  "val_annotations.txt": annotations,
};

/** The images that a file covers, by the names that it may have for them: with and without "images/" and the ending. */
function namesBelow(folder: string, images: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const path of images) {
    if (!path.startsWith(folder)) continue;
    const full = normal(path.slice(folder.length));
    names.set(full, path);
    const short = full.replace(/^images\//i, "");
    for (const name of [short, short.replace(/\.[^./]*$/, "")]) if (!names.has(name)) names.set(name, path);
  }
  return names;
}

/**
 * Reads the files that give images their classes: `dataset.json` of EDM and StyleGAN, `metadata.csv` and `.jsonl` of image folders of the
 * hub, `labels.csv` of any program, `val_annotations.txt` of tiny-imagenet. Each is for the images below its folder; the nearest counts.
 *
 * @throws DataError where one is damaged, does not say which column is the label, or names none of the images
 */
export async function readLabelFiles(
  entries: readonly Entry[],
  images: readonly string[],
  asked: string | undefined,
): Promise<FoundLabels> {
  const found = new Map<string, { className: string | undefined; says: string }>();
  const paths = new Set<string>();
  const missing: Skipped[] = [];
  const notes: string[] = [];
  const there = new Set(entries.map(({ path }) => normal(path)));
  let none = false;
  // Outer folders first, so that inner ones have the last word.
  const files = entries.filter(({ path }) => Object.hasOwn(readers, baseName(path)));
  const depth = ({ path }: Entry): number => path.split("/").length;
  for (const entry of files.sort((a, b) => depth(a) - depth(b))) {
    paths.add(entry.path);
    const file = await readers[baseName(entry.path)]!(entry, asked);
    if (typeof file === "string") {
      notes.push(file);
      continue;
    }
    const folder = folderOf(file.path);
    const names = namesBelow(folder, images);
    if (names.size === 0) continue;
    const known = [...file.classes].filter(([name]) => names.has(name));
    if (!file.none && known.length === 0)
      throw new DataError(
        `${file.path}: none of its ${counted(file.classes.size, "name")} is that of an image beside it${file.classes.size > 0 ? `, such as ${[...file.classes.keys()][0]}` : ""}; --labels from-folder goes by folders instead`,
      );
    none ||= file.none === true;
    for (const path of names.values()) found.set(path, { className: undefined, says: file.says });
    for (const [name, className] of known)
      found.set(names.get(name)!, { className: className === "" ? undefined : className, says: file.says });
    for (const name of file.classes.keys())
      if (!names.has(name) && !there.has(normal(folder) + name))
        missing.push({ path: folder + name, reason: `named in ${file.path} but not there` });
  }
  if (asked !== undefined && !files.some(({ path }) => /\.(csv|jsonl)$/.test(path)))
    throw new DataError(`--label-column ${asked}: there is no metadata.csv, metadata.jsonl or labels.csv with columns`);
  return { paths, of: (path) => found.get(path), none, missing, notes };
}
