import { readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { DataError } from "../errors.ts";
import { stateOf } from "../files/file-state.ts";
import { isTarHeader } from "../formats/archives/tar.ts";
import type { ByteSource } from "../formats/bytes.ts";
import { gunzipped, listTar, listZip } from "./containers/archives.ts";
import { openBytes, reopenedBytes, startOf } from "./containers/disk.ts";
import { foreign } from "./containers/foreign.ts";
import { isHidden } from "./containers/members.ts";
import { isShard, isTable, listShards, openTable } from "./containers/shards.ts";
import type { Entry, Listing, ListOptions, Opened } from "./entries.ts";

/** A folder or archive of files, or one file. */
export interface Source {
  /** Changes whenever the content may have changed. */
  readonly fingerprint: string;
  /** Lists the files. Rejects with DataError where an archive is damaged. */
  list(options?: ListOptions): Promise<Listing>;
  close(): void;
}

/** Deeper folders are not looked into: no layout needs them. */
const DEPTH = 8;

function closer(): Opened & { close(): void } {
  const open: { close(): void }[] = [];
  return {
    add: (one) => open.push(one),
    close: () => {
      for (const one of open.splice(0)) one.close();
    },
  };
}

/** Walks synchronously: five times as fast as asking the thread pool about every file. */
function folderSource(root: string): Source {
  const entries: Entry[] = [];
  const stamps: string[] = [];
  // A link to a folder above would give the same files again.
  const identity = ({ dev, ino }: { dev: bigint; ino: bigint }): string => `${dev} ${ino}`;
  const walk = (folder: string, depth: number, above: readonly string[]): void => {
    for (const name of readdirSync(join(root, folder)).sort()) {
      if (isHidden(name)) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const file = join(root, path);
      const found = statSync(file, { bigint: true, throwIfNoEntry: false });
      if (found?.isDirectory()) {
        if (depth < DEPTH && !above.includes(identity(found))) walk(path, depth + 1, [...above, identity(found)]);
      } else if (!found || found.isFile()) {
        entries.push({ path: path.normalize("NFC"), file, read: () => readFile(file) });
        stamps.push(`${path} ${found && stateOf(found)}`);
      }
    }
  };
  walk("", 0, [identity(statSync(root, { bigint: true }))]);
  const opened = closer();
  return {
    fingerprint: stamps.join("\n"),
    list: async (options) =>
      entries.some(isShard) ? listShards(entries, opened, options) : { entries, skipped: [], notes: [] },
    close: opened.close,
  };
}

/** How the files of an archive are listed. */
type List = (bytes: ByteSource, what: string) => Listing;

/** An archive that is read in place. */
function archiveSource(path: string, fingerprint: string, list: List): Source {
  const opened = closer();
  return {
    fingerprint,
    list: async () => {
      const archive = openBytes(path);
      opened.add(archive);
      return list(archive.bytes, path);
    },
    close: opened.close,
  };
}

/** A tar that is gzipped, or another file that is. */
function gzipSource(path: string, fingerprint: string): Source {
  const opened = closer();
  return {
    fingerprint,
    list: async () => {
      if (/\bidx\d-ubyte/.test(basename(path))) return fileSource(path, fingerprint).list();
      const archive = await gunzipped(path);
      opened.add(archive);
      return listTar(archive.bytes, path);
    },
    close: opened.close,
  };
}

/** A file of another kind: perhaps a picture. */
const fileSource = (path: string, fingerprint: string): Source => ({
  fingerprint,
  list: async () => ({
    entries: [{ path: basename(path), file: path, read: () => readFile(path) }],
    skipped: [],
    notes: [],
  }),
  close: () => {},
});

/** A table of images: its rows are the files. */
const tableSource = (path: string, fingerprint: string): Source => ({
  fingerprint,
  list: async (options) => {
    const entries = await openTable({ path, file: path, read: () => readFile(path) }, basename(path), options);
    return { entries, skipped: [], notes: [] };
  },
  close: () => {},
});

/** What kind of file it is, by its name or its first bytes. */
function kindOf(path: string): "zip" | "tar" | "gzip" | "table" | "file" {
  const start = startOf(path);
  if (start[0] === 0x50 && start[1] === 0x4b) return "zip";
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  if (isTable(path, start)) return "table";
  if (isTarHeader(start)) return "tar";
  // A program may lie before a zip, and unpack it.
  return /\.(zip|npz)$/i.test(path) && !foreign(start, reopenedBytes(path).size) ? "zip" : "file";
}

const OPEN = {
  zip: (path: string, fingerprint: string) => archiveSource(path, fingerprint, listZip),
  tar: (path: string, fingerprint: string) => archiveSource(path, fingerprint, listTar),
  gzip: gzipSource,
  table: tableSource,
  file: fileSource,
};

/** Opens a folder, a zip (a `.npz` is one), a tar, perhaps gzipped, or a single file. Throws DataError where there is none. */
export const openSource = (path: string): Source =>
  opening(path, () => {
    const found = statSync(path, { bigint: true });
    if (found.isDirectory()) return folderSource(path);
    return OPEN[kindOf(path)](path, stateOf(found));
  });

/** Is a path a single file, no folder or archive of them? Throws DataError where there is nothing. */
export const isSingleFile = (path: string): boolean =>
  opening(path, () => !statSync(path).isDirectory() && kindOf(path) === "file");

/** What a function gives; where the system does not open the path, a DataError. */
function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new DataError(`${path}: ${code === "ENOENT" ? "no such file or folder" : `cannot be opened: ${message}`}`, {
      cause,
    });
  }
}
