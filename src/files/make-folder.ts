import { existsSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { isFull, writeFailure } from "./write-failure.ts";

/**
 * Makes a folder, and those above it that are missing, one by one: Node's `recursive` never returns where the system says that nothing is
 * there though the folder above is, as it does below /proc.
 *
 * @returns the folders that were made, the uppermost first
 * @throws UsageError where one cannot be made; then none stays
 */
export function makeFolder(folder: string): string[] {
  const missing: string[] = [];
  for (let path = resolve(folder); !isFolder(path) && path !== dirname(path); path = dirname(path)) missing.push(path);
  const made: string[] = [];
  for (const path of missing.reverse())
    try {
      mkdirSync(path);
      made.push(path);
    } catch (cause) {
      if (isFolder(path)) continue; // another process made it in the meantime
      removeEmpty(made);
      if (isFull(cause)) throw writeFailure(path, cause);
      throw new UsageError(`${folder}: this folder cannot be made (${(cause as Error).message})`, { cause });
    }
  return made;
}

/** Takes folders that `makeFolder` made away again; one that is not empty stays, for others may have written into it by now. */
export function removeEmpty(made: readonly string[]): void {
  for (const folder of made.toReversed())
    try {
      rmdirSync(folder);
    } catch {
      // Something lies in it, or another process took it away.
    }
}

export const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();
