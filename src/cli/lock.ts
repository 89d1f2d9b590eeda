import { mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { UsageError } from "../errors.ts";

/** Milliseconds between signs of life, and after which one that gives none is taken for dead. */
const beat = 5_000;
const silence = 60_000;

interface Holder {
  readonly process: number;
  readonly host: string;
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
  const self: Holder = { process: process.pid, host: hostname() };
  await mkdir(dirname(path), { recursive: true });
  while (!(await take(path, self))) {
    const holder = await holderOf(path, self);
    if (holder)
      throw new UsageError(
        `process ${holder.process} on ${holder.host} is ${what}; wait for it, end it, or choose another --out (if there is no such process, remove ${path})`,
      );
    await rm(path, { force: true });
  }
  const beating = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, beat).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(beating);
      await rm(path, { force: true });
    },
  };
}

/** False where the lock is there already. */
async function take(path: string, self: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(self), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** The living process that holds a lock, as far as can be told. */
async function holderOf(path: string, self: Holder): Promise<Holder | undefined> {
  try {
    const { mtimeMs } = await stat(path);
    const holder: Holder = JSON.parse(await readFile(path, "utf8"));
    if (Date.now() - mtimeMs > silence) return undefined;
    return holder.host === self.host && !isRunning(holder.process, self) ? undefined : holder;
  } catch {
    return undefined;
  }
}

/** A number is given again: after a restart in a container, this very process may have the number of the one that held the lock. */
function isRunning(id: number, self: Holder): boolean {
  if (id === self.process) return false;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
