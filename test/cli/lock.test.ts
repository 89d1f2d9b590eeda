import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { lock } from "../../src/cli/lock.ts";
import { UsageError } from "../../src/errors.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
  path = join(folder, "run", ".lock");
});
afterEach(() => rm(folder, { recursive: true }));

/** Leaves the lock of another process: of this one's parent, which lives, where no other is given. */
async function leave(holder = process.ppid, host = hostname()): Promise<void> {
  await mkdir(join(folder, "run"));
  await writeFile(path, JSON.stringify({ process: holder, host }));
}

const taken = async (): Promise<boolean> => {
  const held = await lock(path, "at work").catch((error: unknown) => error);
  if (held instanceof UsageError) return false;
  await (held as AsyncDisposable)[Symbol.asyncDispose]();
  return true;
};

test("a lock is a file as long as it is held", async () => {
  {
    await using _held = await lock(path, "at work");
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ process: process.pid, host: hostname() });
  }
  await expect(stat(path)).rejects.toThrow("ENOENT");
});

test("a lock that another process holds is refused, which the message names, and stays", async () => {
  await leave();
  const error = await lock(path, "training in runs/a").catch((error: unknown) => error);
  expect(error).toBeInstanceOf(UsageError);
  expect(String(error)).toContain(`process ${process.ppid} on ${hostname()} is training in runs/a`);
  expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ process: process.ppid });
});

test("what a killed process left is taken over, and what is damaged", async () => {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  await leave(pid);
  expect(await taken()).toBe(true);
  await writeFile(path, "{");
  expect(await taken()).toBe(true);
});

test("another machine's process counts as living as long as it gives signs of life", async () => {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  await leave(pid, "elsewhere");
  expect(await taken()).toBe(false);
  const past = new Date(Date.now() - 61_000);
  await utimes(path, past, past);
  expect(await taken()).toBe(true);
});

test("who holds a lock gives signs of life", { timeout: 20_000 }, async () => {
  await using _held = await lock(path, "at work");
  await utimes(path, 0, 0);
  await vi.waitFor(async () => expect(Date.now() - (await stat(path)).mtimeMs).toBeLessThan(10_000), 15_000);
});
