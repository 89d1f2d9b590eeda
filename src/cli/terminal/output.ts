import { existsSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { UsageError } from "../../errors.ts";
import { isFolder } from "../../files/make-folder.ts";
import { makePartialFolder } from "../../files/partial.ts";
import { isFull, writeFailure } from "../../files/write-failure.ts";
import { oneLine } from "../../one-line.ts";
import type { Terminal } from "./command.ts";

/**
 * Throws UsageError unless a file can be written there: it ends as it should, is no folder, and something can be made in the lowest
 * folder above it that is there. Costs next to nothing, so it comes before the work. Says so where a file is there, which will be replaced.
 */
export async function checkOutput(
  { message }: Pick<Terminal, "message">,
  flag: string,
  path: string,
  extension: string,
): Promise<void> {
  if (extname(path).toLowerCase() !== extension)
    throw new UsageError(`${flag} must be a file that ends in ${extension} but is "${path}"`);
  if (isFolder(path)) throw new UsageError(`${flag} must be a file but ${path} is a folder`);
  await checkRoom(flag, path, dirname(resolve(path)));
  if (existsSync(path)) message(`note: ${oneLine(path)} is there, and will be replaced\n`);
}

/** Throws UsageError unless files can be written into a folder, which need not be there yet; as `checkOutput` does, before the work. */
export const checkOutputFolder = (flag: string, path: string): Promise<void> => checkRoom(flag, path, resolve(path));

async function checkRoom(flag: string, path: string, wanted: string): Promise<void> {
  let folder = wanted;
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  if (!isFolder(folder)) throw new UsageError(`${flag}: ${path} cannot be written, for ${folder} is no folder`);
  // Permissions don't say it: the system's own folders refuse root too.
  try {
    await rmdir(await makePartialFolder(join(folder, ".guidestar")));
  } catch (cause) {
    if (isFull(cause)) throw writeFailure(path, cause);
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${flag}: ${path} cannot be written, for nothing can be made in ${folder} (${code})`, {
      cause,
    });
  }
}
