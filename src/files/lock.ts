import { createHash, randomUUID } from "node:crypto";
import { link, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { UsageError } from "../errors.ts";
import { makeFolder, removeEmpty } from "./make-folder.ts";
import { partialPath, removeAbandoned } from "./partial.ts";
import { bootOf, numberSpace, type ProcessState, processState, startOf } from "./process.ts";
import { isFull, writeFailure } from "./write-failure.ts";

/** Milliseconds between signs of life, and after which a process of another machine that gives none is taken for dead. */
const beat = 5_000;
const silence = 60_000;

/** The same for what has this machine's name, but whose processes cannot be asked about: three signs of life are missing. */
const hush = 3 * beat + 1_000;

/** Milliseconds for which a lock that is not whole may still be being written, where the file system has no links. */
const moment = 1_000;

/** What a lock says. */
interface Holder {
  readonly process: number;
  /** When that process started; see `startOf`. Locks of earlier versions, and of systems that don't tell, are without. */
  readonly started?: string;
  readonly host: string;
  /** Which processes the number is one of; see `numberSpace`. */
  readonly space?: string;
  /** Tells locks of one process apart. */
  readonly token?: string;
}

/** Tokens of the locks that this process holds, for systems that don't tell when it started. */
const held = new Set<string>();

/** A folder kept to one process until it is released; `await using` releases it at the end of a block. */
export interface FolderLock extends AsyncDisposable {
  /** Gives the folder back. Nothing happens the second time. */
  release(): Promise<void>;
}

/**
 * Keeps a folder, which is made where missing, to whoever calls: two that write into one folder would spoil each other's files. Guidestar's
 * command line keeps the folders of training runs, sweeps, imports and averages so. The lock is a file there, `.lock`; it binds those who ask
 * for it.
 *
 * A lock is taken over when its process is gone, so a killed run can go on at once; a process that was killed and has not ended yet is waited
 * for, at most a minute. Linux tells whether a process has ended but is still listed, and whether its number was given to another one since. On
 * other systems these two count as running. Processes of other machines (shared folders) count as running while they give signs of
 * life, every 5 s; after 60 s without one their lock is taken over. A machine is known by its host name; where another boot of it, or another
 * container of its name, holds the folder, the next sign of life is waited for, 16 s at most.
 *
 * Where nothing was written into a folder that was made, it is gone after the release.
 *
 * @throws UsageError where the folder is locked by another process, or by this one, or cannot be written
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, ".lock");
  const token = randomUUID();
  const [started, space] = [startOf(process.pid), numberSpace()];
  const text = JSON.stringify({
    process: process.pid,
    ...(started && { started }),
    host: hostname(),
    ...(space && { space }),
    token,
  } satisfies Holder);
  const made = makeFolder(folder);
  try {
    const other = await acquire(path, text, Date.now() + silence);
    if (other !== undefined)
      throw new UsageError(
        `${describe(other)} is writing into ${folder}; wait for it, end it, or choose another folder (if there is no such process, remove ${path})`,
      );
  } catch (error) {
    removeEmpty(made);
    throw error;
  }
  held.add(token);
  await removeLeft(folder);
  const beating = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, beat).unref();
  const release = async (): Promise<void> => {
    clearInterval(beating);
    held.delete(token);
    if ((await read(path)) === text) await rm(path, { force: true });
    removeEmpty(made);
  };
  return { release, [Symbol.asyncDispose]: release };
}

/** Who keeps a folder to itself by `lockFolder` now, as words; undefined where no living process does. Nothing is changed. */
export async function holderOf(folder: string): Promise<string | undefined> {
  const path = join(folder, ".lock");
  const text = await read(path);
  return text !== undefined && (await observer(path)(text)) === "running" ? describe(text) : undefined;
}

/** Takes a lock for whom the text describes. Gives the text of who holds it, if a living process does, or one is still ending at the deadline. */
async function acquire(path: string, text: string, deadline: number): Promise<string | undefined> {
  const stateOf = observer(path);
  for (let tries = 0; !(await take(path, text)); tries++) {
    const found = await read(path);
    if (found === undefined) {
      // Given back in the meantime, or nothing that can be read.
      if (tries >= 100) throw new UsageError(`${path}: cannot be read, so nobody can tell whose it is; remove it`);
      continue;
    }
    const state = await stateOf(found);
    if (state === "running" || (state === "ending" && Date.now() > deadline)) return found;
    if (state === "ending" || !(await removeStale(path, found, text, deadline))) await setTimeout(20);
  }
  return undefined;
}

/**
 * Removes the lock that a process left which is gone, if it still is that with the text `found`. One process at a time: between looking
 * and removing, another one's new lock might have come. So that is guarded by a lock of its own, which can be left and taken over as any
 * other. False where another process is at it.
 */
async function removeStale(path: string, found: string, text: string, deadline: number): Promise<boolean> {
  const guard = `${path}.${createHash("sha256").update(found).digest("hex").slice(0, 16)}`;
  if ((await acquire(guard, text, deadline)) !== undefined) return false;
  if ((await read(path)) === found) await rm(path, { force: true });
  await rm(guard, { force: true });
  return true;
}

/** Removes from a folder that is held what processes left that were killed there: half-written files, and guards of locks that are gone. */
async function removeLeft(folder: string): Promise<void> {
  await removeAbandoned(folder);
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (!/^\.lock\.[0-9a-f]{16}$/.test(name)) continue;
    const text = await read(path);
    if (text !== undefined && (await observer(path)(text)) === "gone") await rm(path, { force: true });
  }
}

/** Makes a lock that is whole from its first moment. False where there is one already. */
async function take(path: string, text: string): Promise<boolean> {
  const temporary = partialPath(path);
  try {
    await writeFile(temporary, text);
    try {
      await link(temporary, path);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      // This file system has no links.
      await writeFile(path, text, { flag: "wx" });
    }
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    if (isFull(error)) throw writeFailure(path, error, text.length);
    throw new UsageError(`${dirname(path)}: cannot be written (${(error as Error).message})`, { cause: error });
  } finally {
    await rm(temporary, { force: true });
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const read = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(() => undefined);

function parse(text: string): Holder | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

function describe(text: string): string {
  const holder = parse(text);
  return holder ? `process ${holder.process} on ${holder.host}` : "another process";
}

/**
 * Tells, look by look, the state of who holds a lock with a text, as far as can be told. A lock that may still be being written is `ending`,
 * for it will be whole or given up; so is one of this machine's name whose process cannot be asked about, until it gives a sign of life.
 */
function observer(path: string): (text: string) => Promise<ProcessState> {
  let first: { readonly text: string; readonly beat: number } | undefined;
  return async (text) => {
    const { host, process: id, started, space = numberSpace(), token = "" }: Partial<Holder> = parse(text) ?? {};
    const isNear = space === numberSpace() && (started === undefined || started.split(" ")[0] === bootOf());
    if (id !== undefined && host === hostname() && isNear) {
      // After a restart in a container, this very process may have the number of the one that held the lock.
      if (id === process.pid && started === undefined) return held.has(token) ? "running" : "gone";
      return processState(id, started);
    }
    const { mtimeMs: beat = 0 } = (await stat(path).catch(() => undefined)) ?? {};
    const age = Date.now() - beat;
    if (host === hostname()) {
      if (first?.text !== text) first = { text, beat };
      return age >= hush ? "gone" : first.beat < beat ? "running" : "ending";
    }
    if (host !== undefined) return age < silence ? "running" : "gone";
    return Math.abs(age) < moment ? "ending" : "gone";
  };
}
