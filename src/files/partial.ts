import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { machine, processState, startOf } from "./process.ts";

/*
 * What is being written lies beside its place under a name that tells whose it is: BASE.MACHINE-START-PROCESS-RANDOM.partial. So what a
 * process left that was killed goes when the next one writes there, and what a living one is writing stays.
 */

/** Milliseconds without a change after which what nobody can be asked about is taken for what an ended process left. */
const abandonedAfter = 3_600_000;

/** Bytes that file systems take of a name are 255, of which the rest of a name of ours needs up to 46. */
const longestBase = 200;

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);

/** A name that nobody else takes, of a file or folder that is to be moved to `path` when it is whole. */
export function partialPath(path: string): string {
  const base = basename(path);
  const short = Buffer.byteLength(base) > longestBase ? digest(base) : base;
  const random = randomBytes(4).toString("hex");
  return join(dirname(path), `${short}.${digest(machine())}-${startTag(process.pid)}-${process.pid}-${random}.partial`);
}

/** Makes a folder, for this user alone, that is a working copy of `path`, and removes beside it what ended processes left. */
export async function makePartialFolder(path: string): Promise<string> {
  await removeAbandoned(dirname(path));
  const folder = partialPath(path);
  await mkdir(folder, { mode: 0o700 });
  return folder;
}

const startTag = (id: number): string => digest(startOf(id) ?? "");

/** The names above, and those of version 0.1.0: BASE.UUID.partial. */
const owned = /\.([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.partial$/;
const ownerless = /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.partial$/;

/** Is it the name of something that is being written, or was? */
export const isPartial = (name: string): boolean => owned.test(name) || ownerless.test(name);

/** Did a process leave it that has ended? One of another machine, or that the name does not tell, has after an hour in silence. */
export function isAbandoned(name: string, changed: number): boolean {
  const [, where, start, id] = owned.exec(name) ?? [];
  if (id === undefined || where !== digest(machine())) return isPartial(name) && Date.now() - changed > abandonedAfter;
  return startTag(Number(id)) !== start || processState(Number(id)) === "gone";
}

/** Removes from a folder what ended processes left half-written. What cannot be removed stays. */
export async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter(isPartial)) {
    const path = join(folder, name);
    const status = await stat(path).catch(() => undefined);
    if (status && isAbandoned(name, status.mtimeMs))
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
