import { DataError } from "../../errors.ts";
import { bytesOf } from "../../formats/bytes.ts";
import { imageNames } from "../../images/decode.ts";
import type { Entry, Listing, ListOptions, Opened, Skipped } from "../entries.ts";
import { gunzipped, listTar } from "./archives.ts";
import { openBytes, reopenedBytes } from "./disk.ts";
import { listTable } from "./tables.ts";

const TAR = /\.(tar|tgz|tar\.gz)$/i;
const TABLE = /\.(parquet|arrow)$/i;
/** Tables that lie in memory whole may be so large. */
const MOST_ARROW = 2 ** 30;
/** The number of a part, as in train-000012.tar or 00003-of-00010.tar. */
const NUMBERED = /(^|[-_.])\d+(-of-\d+)?$/i;

/** Whether a file of a folder is a container of images: a tar or a table. */
export const isShard = ({ path }: Pick<Entry, "path">): boolean => TAR.test(path) || TABLE.test(path);

/** Whether a file is a table, by its name or its first bytes. */
export const isTable = (path: string, start: Uint8Array): boolean =>
  TABLE.test(path) || /^(PAR1|ARROW1)/.test(String.fromCharCode(...start.subarray(0, 6)));

/** The images of a parquet or Arrow file, with paths below `folder`. */
export async function openTable(entry: Entry, folder: string, { labelColumn }: ListOptions = {}): Promise<Entry[]> {
  const { path, file } = entry;
  if (/\.arrow$/i.test(path)) {
    const size = file === undefined ? 0 : reopenedBytes(file).size;
    if (size > MOST_ARROW)
      throw new DataError(
        `${path}: an Arrow file of ${(size / 2 ** 30).toFixed(1)} GiB; at most 1 GiB is read, save it as parquet`,
      );
    const { arrowTable } = await import("./arrow.ts");
    return listTable(arrowTable(await entry.read(), path), folder, labelColumn);
  }
  const { parquetTable } = await import("./parquet.ts");
  const bytes = file === undefined ? bytesOf(await entry.read()) : reopenedBytes(file);
  return listTable(await parquetTable(bytes, bytes.size, path), folder, labelColumn);
}

/**
 * A folder of tars or tables, and their files below the folder's paths. Parts of a data set, which are numbered, give their files to the folder
 * that they lie in, below a folder of their split where their names tell one; a tar that is not numbered stands for a folder of its name. Beside
 * pictures that lie in the folder as files, they are left out.
 */
export async function listShards(all: readonly Entry[], opened: Opened, options: ListOptions = {}): Promise<Listing> {
  const [shards, others] = [all.filter(isShard), all.filter((entry) => !isShard(entry))];
  if (others.some(({ path }) => imageNames.test(path))) {
    const skipped = shards.map(({ path }) => ({
      path,
      reason: "an archive or a table beside images; give its path instead",
    }));
    return { entries: others, skipped, notes: [] };
  }
  const entries: Entry[] = [...others];
  const skipped: Skipped[] = [];
  const notes: string[] = [];
  for (const shard of shards) {
    const { path, file } = shard;
    const below = folderOf(path, shards.length);
    if (TABLE.test(path)) {
      entries.push(...(await openTable(shard, `${below}${path.slice(path.lastIndexOf("/") + 1)}`, options)));
      continue;
    }
    if (file === undefined) continue;
    const listing = await list(path, file, opened);
    entries.push(...listing.entries.map((entry) => ({ ...entry, path: below + entry.path })));
    skipped.push(...listing.skipped.map(({ path: inside, reason }) => ({ path: `${path}: ${inside}`, reason })));
    notes.push(...listing.notes);
  }
  return { entries, skipped, notes };
}

/** There may be thousands of shards, more than a process may have open. */
async function list(path: string, file: string, opened: Opened): Promise<Listing> {
  if (/gz$/i.test(file)) {
    const archive = await gunzipped(file);
    opened.add(archive);
    return listTar(archive.bytes, path);
  }
  const archive = openBytes(file);
  try {
    return listTar(archive.bytes, path, reopenedBytes(file));
  } finally {
    archive.close();
  }
}

/** The folder, with "/", that a tar's files are taken to lie in. */
function folderOf(path: string, count: number): string {
  const name = path.replace(TAR, "").replace(TABLE, "");
  const folder = name.slice(0, name.lastIndexOf("/") + 1);
  const base = name.slice(folder.length);
  if (count === 1) return folder;
  const split = /(^|[-_.])(train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?)([-_.]|$)/i.exec(base)?.[2];
  if (split !== undefined) return `${folder}${split.toLowerCase()}/`;
  return NUMBERED.test(base) || TABLE.test(path) ? folder : `${folder}${base}/`;
}
