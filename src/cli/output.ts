import { mkdir, rm, stat } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { writeAtomically } from "../checkpoint/run-folder.ts";
import { UsageError } from "../errors.ts";

/** Throws UsageError unless a file can be meant by this path: it ends as it should, and is no folder. Costs nothing, so it comes first. */
export async function checkOutput(flag: string, path: string, extension: string): Promise<void> {
  if (extname(path).toLowerCase() !== extension)
    throw new UsageError(`${flag} must be a file that ends in ${extension} but is "${path}"`);
  if ((await stat(path).catch(() => undefined))?.isDirectory())
    throw new UsageError(`${flag} must be a file but ${path} is a folder`);
}

/** Writes files, their folders first, all or none: those that were written go again where one fails. */
export async function writeFiles(files: readonly (readonly [path: string, bytes: Uint8Array])[]): Promise<void> {
  const written: string[] = [];
  try {
    for (const [path] of files) await mkdir(dirname(path), { recursive: true });
    for (const [path, bytes] of files) {
      await writeAtomically(path, bytes);
      written.push(path);
    }
  } catch (error) {
    await Promise.all(written.map((path) => rm(path, { force: true })));
    throw error;
  }
}
