import { existsSync, mkdirSync, rmdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UsageError } from "../errors.ts";

/**
 * Makes a folder, and those above it that are missing, one by one: Node's `recursive` never returns where the system says that nothing is
 * there though the folder above is, as it does below /proc.
 *
 * @returns the uppermost folder that was made; undefined where there was nothing to make
 * @throws UsageError where one cannot be made; then none stays
 */
export function makeFolder(folder: string): string | undefined {
  const missing: string[] = [];
  for (let path = resolve(folder); !isFolder(path) && path !== dirname(path); path = dirname(path)) missing.push(path);
  const made: string[] = [];
  for (const path of missing.reverse())
    try {
      mkdirSync(path);
      made.push(path);
    } catch (cause) {
      if (isFolder(path)) continue; // another process made it in the meantime
      for (const each of made.reverse()) rmdirSync(each);
      throw new UsageError(`${folder}: this folder cannot be made (${(cause as Error).message})`, { cause });
    }
  return made[0];
}

export const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();
