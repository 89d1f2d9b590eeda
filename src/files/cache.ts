import { readdir, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { isAbandoned, isPartial } from "./partial.ts";

/** Folder of one kind of files that can be made again: in `$XDG_CACHE_HOME/guidestar`, or `~/.cache/guidestar`. */
export const cacheFolder = (kind: string): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "guidestar", kind);

/** Names of a cache's entries. What has neither kind of name is not the cache's, and stays. */
export interface EntryNames {
  readonly whole: RegExp;
  /** Of what earlier versions were writing, which did not name it by `partialPath`. */
  readonly unfinished: RegExp;
}

/** Milliseconds after which what was begun and not finished is taken for what an ended process left. */
const abandonedAfter = 3_600_000;

/**
 * Removes entries of a cache, files or folders of files, until the rest takes at most `limit` bytes: first those that were not used for
 * longest, which their time of modification tells, and always what an ended process left unfinished.
 */
export async function pruneCache(folder: string, limit: number, { whole, unfinished }: EntryNames): Promise<void> {
  const ours = (await readdir(folder)).filter((name) => isPartial(name) || whole.test(name) || unfinished.test(name));
  const entries = await Promise.all(
    ours.map(async (name) => {
      const path = join(folder, name);
      // Another process may remove an entry at any time.
      const size = await sizeOf(path).catch(() => undefined);
      return size ? [{ name, path, isWhole: whole.test(name) && !isPartial(name), ...size }] : [];
    }),
  );
  let total = 0;
  const isLeft = (name: string, used: number): boolean =>
    isPartial(name) ? isAbandoned(name, used) : Date.now() - used > abandonedAfter;
  for (const { name, path, used, isWhole, size } of entries.flat().toSorted((a, b) => b.used - a.used)) {
    if (isWhole) total += size;
    if (isWhole ? total > limit : isLeft(name, used)) await rm(path, { recursive: true, force: true });
  }
}

async function sizeOf(path: string): Promise<{ used: number; size: number }> {
  const status = await stat(path);
  if (!status.isDirectory()) return { used: status.mtimeMs, size: status.size };
  const files = await Promise.all((await readdir(path)).map((name) => stat(join(path, name))));
  return { used: status.mtimeMs, size: files.reduce((sum, { size }) => sum + size, 0) };
}
