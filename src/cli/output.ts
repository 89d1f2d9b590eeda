import { constants } from "node:fs";
import { access, mkdir, rm, stat } from "node:fs/promises";
import { dirname, extname, resolve } from "node:path";
import { type FileContents, type Staged, stage } from "../checkpoint/run-folder.ts";
import { UsageError } from "../errors.ts";

const kindOf = async (path: string): Promise<"folder" | "file" | undefined> => {
  const stats = await stat(path).catch(() => undefined);
  return stats && (stats.isDirectory() ? "folder" : "file");
};

/**
 * Throws UsageError unless a file can be written there: it ends as it should, is no folder, and folders above it can be made and
 * written to. Costs nothing, so it comes before the work.
 */
export async function checkOutput(flag: string, path: string, extension: string): Promise<void> {
  if (extname(path).toLowerCase() !== extension)
    throw new UsageError(`${flag} must be a file that ends in ${extension} but is "${path}"`);
  if ((await kindOf(path)) === "folder") throw new UsageError(`${flag} must be a file but ${path} is a folder`);
  let folder = dirname(resolve(path));
  let kind = await kindOf(folder);
  while (kind === undefined && folder !== dirname(folder)) {
    folder = dirname(folder);
    kind = await kindOf(folder);
  }
  const writable =
    kind === "folder" &&
    (await access(folder, constants.W_OK).then(
      () => true,
      () => false,
    ));
  if (!writable)
    throw new UsageError(
      `${flag}: ${path} cannot be written, for ${folder} is ${kind === "folder" ? "read-only" : "no folder"}`,
    );
}

/** Writes files, and the folders that they need: all, or none where one of them cannot be written or the signal is raised. */
export async function writeFiles(
  files: readonly (readonly [path: string, contents: FileContents])[],
  signal?: AbortSignal,
): Promise<void> {
  const folders: string[] = [];
  const staged: Staged[] = [];
  try {
    for (const [path, contents] of files) {
      const made = await mkdir(dirname(path), { recursive: true });
      if (made) folders.push(made);
      staged.push(await stage(path, contents, signal));
    }
  } catch (error) {
    for (const each of staged) await each.discard();
    for (const folder of folders) await rm(folder, { recursive: true });
    throw error;
  }
  for (const each of staged) await each.commit();
}
