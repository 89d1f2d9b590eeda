import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { counted } from "../counted.ts";
import { WriteFailure } from "../errors.ts";

/** Why the system does not take a file, by its code, and what helps. */
const REASONS: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  ENOSPC: ["the disk is full", "make room there"],
  EDQUOT: ["your quota of the disk is used up", "make room there"],
  EFBIG: ["it is larger than a file may be there", "raise the limit (ulimit -f), or choose another file system"],
  EROFS: ["the file system is read-only", "choose another place"],
  EACCES: ["permission is denied", "change the permissions, or choose another place"],
  EPERM: ["the system does not permit it", "change the permissions, or choose another place"],
  EIO: ["the disk failed", "check the disk, or choose another place"],
  EMFILE: ["too many files are open", "raise the limit (ulimit -n)"],
  ENFILE: ["too many files are open on this machine", "close other programs"],
  ENOENT: ["its folder is gone", "choose another place"],
  ENOTDIR: ["what should be its folder is a file", "choose another place"],
  EISDIR: ["a folder has its name", "choose another name"],
  ENAMETOOLONG: ["its name is too long", "choose a shorter one"],
};

/** Did the system not take a file for want of room, or because the disk failed? Another place is no matter of usage then. */
export const isFull = (error: unknown): boolean =>
  ["ENOSPC", "EDQUOT", "EFBIG", "EIO"].includes((error as NodeJS.ErrnoException).code ?? "");

const bytes = (count: number): string => {
  if (count < 1e3) return counted(count, "byte");
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
};

/** Bytes that are free for us where a file is to lie; undefined where the system does not tell. */
function freeAt(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/**
 * What is thrown where the system does not take a file: what it is, why, what it needs, what is kept, and what to do, on one line. Errors of other
 * things stay as they are.
 *
 * @param whole bytes of its whole contents, where they are known; asked for where the file is at fault
 */
export function writeFailure(path: string, error: unknown, whole?: number | (() => number)): unknown {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  const [why, remedy] = REASONS[code] ?? [];
  // What is written may be read from a file, whose errors are not ours.
  if (why === undefined || syscall === "read") return error;
  const needed = typeof whole === "function" ? whole() : whole;
  const free = code === "ENOSPC" ? freeAt(path) : undefined;
  const size =
    needed === undefined
      ? ""
      : `; it needs ${bytes(needed)}${free === undefined || free >= needed ? "" : `, and ${bytes(free)} are free`}`;
  const kept = existsSync(path) ? "the file that was there is as it was" : "nothing of it was left";
  return new WriteFailure(
    `${path}: cannot be written, for ${why} (${code})${size}; ${kept}; ${remedy}, then run the command again`,
    { cause: error },
  );
}
