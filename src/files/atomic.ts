import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { partLength } from "../formats/bytes.ts";
import { pruneCache } from "./cache.ts";

/** New contents of a file, safe on the disk beside it. */
export interface Staged {
  /** Puts them in the file's place; where that fails, nothing stays of them. */
  commit(): Promise<void>;
  /** Takes them away, unless they are in their place. */
  discard(): Promise<void>;
}

/** Bytes, perhaps in parts that follow each other, or a text. */
export type FileContents = string | Uint8Array | Iterable<Uint8Array>;

/**
 * Writes new contents of a file into a temporary one of the same folder, flushed, whose name no other writer takes. Where that fails, or
 * the signal is raised, nothing stays.
 */
export async function stage(path: string, contents: FileContents, signal?: AbortSignal): Promise<Staged> {
  const temporary = `${path}.${randomUUID()}.partial`;
  const discard = () => rm(temporary, { force: true });
  const file = await open(temporary, "w");
  try {
    for (const bytes of inBytes(contents))
      for (let at = 0; at < bytes.length; at += partLength) {
        signal?.throwIfAborted();
        await file.writeFile(bytes.subarray(at, at + partLength));
      }
    await file.sync();
    signal?.throwIfAborted();
  } catch (error) {
    await discard();
    throw error;
  } finally {
    await file.close();
  }
  const commit = async (): Promise<void> => {
    try {
      await rename(temporary, path);
    } catch (error) {
      await discard();
      throw error;
    }
    const folder = await open(dirname(path), "r");
    // Windows knows no flushing of folders.
    await folder.sync().catch(() => undefined);
    await folder.close();
  };
  return { commit, discard };
}

/** Removes from a folder what ended processes left half-written. */
export const removeAbandoned = (folder: string): Promise<void> =>
  pruneCache(folder, Number.POSITIVE_INFINITY, { whole: /^$/, unfinished: /\.[0-9a-f-]{36}\.partial$/ });

function inBytes(contents: FileContents): Iterable<Uint8Array> {
  if (typeof contents === "string") return [new TextEncoder().encode(contents)];
  return contents instanceof Uint8Array ? [contents] : contents;
}

/** Writes a file so that a crash at any moment, of the machine too, leaves either the old file or the whole new one. */
export const writeAtomically = async (path: string, contents: FileContents): Promise<void> =>
  (await stage(path, contents)).commit();
