import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { partLength } from "../formats/bytes.ts";
import { makeFolder, removeEmpty } from "./make-folder.ts";
import { partialPath, removeAbandoned } from "./partial.ts";
import { writeFailure } from "./write-failure.ts";

/** New contents of a file, safe on the disk beside it. */
export interface Staged {
  /** Puts them in the file's place; where that fails, nothing stays of them. */
  commit(): Promise<void>;
  /** Takes them away, unless they are in their place. */
  discard(): Promise<void>;
}

/** What a file is to hold: a text, written as UTF-8; bytes; or bytes in parts that follow each other, which are asked for as they are written. */
export type FileContents = string | Uint8Array | Iterable<Uint8Array>;

/**
 * Writes new contents of a file into a temporary one of the same folder, flushed, whose name no other writer takes. Where that fails, or
 * the signal is raised, nothing stays; nor does what ended processes left there.
 *
 * @param named the file that errors are about, where `path` is another that stands in for it
 * @throws WriteFailure where the system does not take it, here or when it is committed; the reason of the signal
 */
export async function stage(path: string, contents: FileContents, signal?: AbortSignal, named = path): Promise<Staged> {
  await removeAbandoned(dirname(path));
  const temporary = partialPath(path);
  const discard = () => rm(temporary, { force: true });
  const parts = inBytes(contents)[Symbol.iterator]();
  let size = 0;
  try {
    await using file = await open(temporary, "w");
    for (let part = parts.next(); !part.done; part = parts.next()) {
      const bytes = part.value;
      size += bytes.length;
      for (let at = 0; at < bytes.length; at += partLength) {
        signal?.throwIfAborted();
        await file.writeFile(bytes.subarray(at, at + partLength));
      }
    }
    await file.sync();
    signal?.throwIfAborted();
  } catch (error) {
    await discard();
    throw writeFailure(named, error, () => size + sizeOfRest(parts));
  }
  const commit = async (): Promise<void> => {
    try {
      await rename(temporary, path);
    } catch (error) {
      await discard();
      throw writeFailure(named, error, size);
    }
    const folder = await open(dirname(path), "r");
    // Windows knows no flushing of folders.
    await folder.sync().catch(() => undefined);
    await folder.close();
  };
  return { commit, discard };
}

/** Bytes of the parts that were not written. */
function sizeOfRest(parts: Iterator<Uint8Array>): number {
  let size = 0;
  try {
    for (let part = parts.next(); !part.done; part = parts.next()) size += part.value.length;
  } catch {
    // It is what the caller is told of anyway.
  }
  return size;
}

function inBytes(contents: FileContents): Iterable<Uint8Array> {
  if (typeof contents === "string") return [new TextEncoder().encode(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
}

/**
 * Writes a file so that a crash at any moment, of the machine too, leaves either the old file or the whole new one: into a temporary file
 * beside it, which is flushed and then takes its place. Its folder must be there.
 *
 * @throws WriteFailure where it cannot be written; then the old file is as it was
 */
export const writeAtomically = async (path: string, contents: FileContents): Promise<void> =>
  (await stage(path, contents)).commit();

/**
 * Writes files, and the folders that they need: all, or none where one of them cannot be written or the signal is raised. Each is whole at any
 * moment, as `writeAtomically` keeps it; a crash between the first and the last may leave some of them old.
 *
 * @throws WriteFailure where one cannot be written; or the reason of the signal
 * @throws UsageError where a folder cannot be made
 */
export async function writeFiles(
  files: readonly (readonly [path: string, contents: FileContents])[],
  signal?: AbortSignal,
): Promise<void> {
  const folders: string[] = [];
  const staged: Staged[] = [];
  try {
    for (const [path, contents] of files) {
      folders.push(...makeFolder(dirname(path)));
      staged.push(await stage(path, contents, signal));
    }
    for (const each of staged) await each.commit();
  } catch (error) {
    for (const each of staged) await each.discard();
    removeEmpty(folders);
    throw error;
  }
}
