import { type BigIntStats, closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { DataError } from "../errors.ts";
import { stateOf } from "../files/file-state.ts";
import type { ByteSource } from "../formats/bytes.ts";
import { openZip } from "../formats/zip.ts";

/** One file of a folder or zip that is not hidden; `path` is relative, with `/`. */
export interface Entry {
  readonly path: string;
  read(): Promise<Uint8Array>;
}

/** A folder or zip of files, or one file. */
export interface Source {
  /** Changes whenever the content may have changed. */
  readonly fingerprint: string;
  /** Every file, in any order. Throws DataError where a zip is damaged. */
  entries(): readonly Entry[];
  close(): void;
}

/** Deeper folders are not looked into: no layout needs them, and a link to a parent would never end. */
const DEPTH = 8;

const isHidden = (name: string): boolean => name.startsWith(".") || name === "__MACOSX";

/** Walks synchronously: five times as fast as asking the thread pool about every file. */
function folderSource(root: string): Source {
  const entries: Entry[] = [];
  const stamps: string[] = [];
  const walk = (folder: string, depth: number): void => {
    for (const name of readdirSync(join(root, folder)).sort()) {
      if (isHidden(name)) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const found = statSync(join(root, path), { bigint: true, throwIfNoEntry: false });
      if (found?.isDirectory() && depth < DEPTH) walk(path, depth + 1);
      else if (!found || found.isFile()) {
        entries.push({ path, read: () => readFile(join(root, path)) });
        stamps.push(`${path} ${found && stateOf(found)}`);
      }
    }
  };
  walk("", 0);
  return { fingerprint: stamps.join("\n"), entries: () => entries, close: () => {} };
}

function zipSource(path: string, status: BigIntStats): Source {
  const descriptor = openSync(path, "r");
  const bytes: ByteSource = {
    size: Number(status.size),
    read(offset, length) {
      const result = new Uint8Array(length);
      const got = readSync(descriptor, result, 0, length, offset);
      if (got < length) throw new DataError(`${path}: ${length} bytes were expected at ${offset} but ${got} came`);
      return result;
    },
  };
  return {
    fingerprint: stateOf(status),
    entries() {
      const zip = openZip(bytes, path, DataError);
      return zip.names
        .filter((name) => !name.endsWith("/") && !name.split("/").some(isHidden))
        .map((name) => ({ path: name, read: async () => zip.read(name) }));
    },
    close: () => closeSync(descriptor),
  };
}

/** A file of another kind: perhaps a picture. */
const fileSource = (path: string, status: BigIntStats): Source => ({
  fingerprint: stateOf(status),
  entries: () => [{ path: basename(path), read: () => readFile(path) }],
  close: () => {},
});

/** By its name, or its first bytes. */
function isZip(path: string): boolean {
  if (/\.(zip|npz)$/i.test(path)) return true;
  const start = Buffer.alloc(2);
  const descriptor = openSync(path, "r");
  readSync(descriptor, start);
  closeSync(descriptor);
  return start.toString("latin1") === "PK";
}

/** Opens a folder, a zip (a `.npz` is one) or a single file. Throws DataError where there is none. */
export const openSource = (path: string): Source =>
  opening(path, () => {
    const found = statSync(path, { bigint: true });
    if (found.isDirectory()) return folderSource(path);
    return (isZip(path) ? zipSource : fileSource)(path, found);
  });

/** Is a path a single file, no folder or zip of them? Throws DataError where there is nothing. */
export const isSingleFile = (path: string): boolean =>
  opening(path, () => !statSync(path).isDirectory() && !isZip(path));

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
