import { randomUUID } from "node:crypto";
import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { UsageError } from "../errors.ts";
import { makeFolder, removeEmpty } from "./make-folder.ts";

/** Milliseconds between signs of life, and after which a process of another machine that gives none is taken for dead. */
const beat = 5_000;
const silence = 60_000;

interface Holder {
  readonly process: number;
  readonly host: string;
  /** Tells locks of one process apart. */
  readonly token: string;
}

/**
 * Keeps a folder, which is made where missing, to one process: two that write into it would spoil each other's files. The lock is a file
 * there; one that a killed process left is taken over. Where nothing else was written, a folder that was made is gone afterwards.
 *
 * @throws UsageError where another process holds it, or the folder cannot be written
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, ".lock");
  const text = JSON.stringify({ process: process.pid, host: hostname(), token: randomUUID() } satisfies Holder);
  const made = makeFolder(folder);
  for (let tries = 0; !(await take(path, text)); tries++) {
    const found = await read(path);
    // Given back in the meantime, or nothing that can be read.
    if (found === undefined && tries < 100) continue;
    if (found === undefined) throw new UsageError(`${path}: cannot be read, so nobody can tell whose it is; remove it`);
    if (await isHeld(path, found))
      throw new UsageError(
        `${describe(found)} is writing into ${folder}; wait for it, end it, or choose another folder (if there is no such process, remove ${path})`,
      );
    await removeStale(path, found);
  }
  const beating = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, beat).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(beating);
      if ((await read(path)) === text) await rm(path, { force: true });
      removeEmpty(made);
    },
  };
}

/** False where the lock is there already. */
async function take(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    throw new UsageError(`${dirname(path)}: cannot be written (${message})`, { cause: error });
  }
}

/**
 * Removes the lock that a dead process left, if it still is that with this text. One process at a time: between looking and removing,
 * another one's new lock might have come.
 */
async function removeStale(path: string, text: string): Promise<void> {
  const guard = `${path}.stale`;
  if (await take(guard, "")) {
    if ((await read(path)) === text) await rm(path, { force: true });
    await rm(guard, { force: true });
  } else {
    const status = await stat(guard).catch(() => undefined);
    if (status && Date.now() - status.mtimeMs > silence) await rm(guard, { force: true });
    await setTimeout(20);
  }
}

const read = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(() => undefined);

function parse(text: string): Holder | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe(text: string): string {
  const holder = parse(text);
  return holder ? `process ${holder.process} on ${holder.host}` : "another process";
}

/** Does a living process hold the lock, as far as can be told? */
async function isHeld(path: string, text: string): Promise<boolean> {
  const holder = parse(text);
  if (holder?.host === hostname()) return isRunning(holder.process);
  // Of another machine, or not written to its end yet.
  const status = await stat(path).catch(() => undefined);
  return status !== undefined && Date.now() - status.mtimeMs < silence;
}

/** After a restart in a container, this very process may have the number of the one that held the lock. */
function isRunning(id: number): boolean {
  if (id === process.pid) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
