import { randomUUID } from "node:crypto";
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { UsageError } from "../errors.ts";
import { makeFolder } from "../files/make-folder.ts";

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
 * Keeps a folder to one process: two that write into it would spoil each other's files. The lock is a file; one that a killed process left
 * is taken over.
 *
 * @param path of the file
 * @param what is being done, for the error: "training a denoiser in runs/a"
 * @throws UsageError where another process holds it
 */
export async function lock(path: string, what: string): Promise<AsyncDisposable> {
  const text = JSON.stringify({ process: process.pid, host: hostname(), token: randomUUID() } satisfies Holder);
  makeFolder(dirname(path));
  while (!(await take(path, text))) {
    const found = await read(path);
    if (found === undefined) continue; // given back in the meantime
    if (await isHeld(path, found))
      throw new UsageError(
        `${describe(found)} is ${what}; wait for it, end it, or choose another --out (if there is no such process, remove ${path})`,
      );
    await remove(path, found);
  }
  const beating = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, beat).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(beating);
      await remove(path, text);
    },
  };
}

/** False where the lock is there already. */
async function take(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Removes a lock, unless it is by now another than that with this text: of several processes, only one moves a file away. */
async function remove(path: string, text: string): Promise<void> {
  if ((await read(path)) !== text) return;
  const away = `${path}.${randomUUID()}`;
  await rename(path, away).catch(() => undefined);
  const moved = await read(away);
  if (moved !== undefined && moved !== text) await take(path, moved);
  await rm(away, { force: true });
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
