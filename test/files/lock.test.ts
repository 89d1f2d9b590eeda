import { spawn, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { lockFolder } from "../../src/files/lock.ts";

let folder: string;
let run: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
  run = join(folder, "runs", "a");
  path = join(run, ".lock");
});
afterEach(() => rm(folder, { recursive: true }));

/** Leaves the lock of another process: of this one's parent, which lives, where no other is given. */
async function leave(holder = process.ppid, host = hostname()): Promise<void> {
  await mkdir(run, { recursive: true });
  await writeFile(path, JSON.stringify({ process: holder, host }));
}

const taken = async (): Promise<boolean> => {
  const held = await lockFolder(run).catch((error: unknown) => error);
  if (held instanceof UsageError) return false;
  await (held as AsyncDisposable)[Symbol.asyncDispose]();
  return true;
};

/** Takes the lock in several processes at the same moment; gives how many were refused while one held it. */
async function race(count: number): Promise<number> {
  const end = join(folder, "end");
  const program = `
    import { existsSync } from "node:fs";
    const { lockFolder } = await import(${JSON.stringify(new URL("../../src/files/lock.ts", import.meta.url).href)});
    const [, moment, run, end] = process.argv;
    while (Date.now() < Number(moment)) {}
    const held = await lockFolder(run).catch(() => undefined);
    const until = Date.now() + 10_000;
    while (held && !existsSync(end) && Date.now() < until) await new Promise((done) => setTimeout(done, 50));
    if (!held) process.exit(1);
    await held[Symbol.asyncDispose]();`;
  const args = ["--import", "tsx", "--input-type=module", "-e", program, String(Date.now() + 2000), run, end];
  let refused = 0;
  const start = () =>
    new Promise<void>((done) => {
      spawn(process.execPath, args).on("exit", async (code) => {
        if (code === 1) refused++;
        if (refused === count - 1) await writeFile(end, "");
        done();
      });
    });
  await Promise.all(Array.from({ length: count }, start));
  await rm(end, { force: true });
  return refused;
}

test("a lock is a file as long as it is held", async () => {
  {
    await using _held = await lockFolder(run);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ process: process.pid, host: hostname() });
  }
  // The folders were made for it, and nothing was written.
  expect(await readdir(folder)).toEqual([]);
  {
    await using _held = await lockFolder(run);
    await writeFile(join(run, "model.json"), "");
  }
  expect(await readdir(run)).toEqual(["model.json"]);
});

test.each<[string, () => Promise<unknown>]>([
  ["a folder", () => mkdir(path)],
  ["a link to nothing", () => symlink(join(folder, "nothing"), path)],
])("a lock that cannot be read, %s, is refused", async (_, make) => {
  await mkdir(run, { recursive: true });
  await make();
  const error = await lockFolder(run).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(UsageError);
  expect(String(error)).toContain(`${path}: cannot be read`);
});

test("a lock that another process holds is refused, which the message names, and stays", async () => {
  await leave();
  const error = await lockFolder(run).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(UsageError);
  expect(String(error)).toContain(`process ${process.ppid} on ${hostname()} is writing into ${run}`);
  expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ process: process.ppid });
});

test("what a killed process left is taken over, by one of several", async () => {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  await leave(pid);
  expect(await taken()).toBe(true);
  for (let round = 0; round < 2; round++) {
    await writeFile(path, JSON.stringify({ process: pid, host: hostname() }));
    expect(await race(4)).toBe(3);
  }
});

test("a lock that is being written counts as held; what is left half-written, for a minute", async () => {
  await leave();
  await writeFile(path, "{");
  expect(await taken()).toBe(false);
  await utimes(path, 0, 0);
  expect(await taken()).toBe(true);
});

test("a lock that has become another's stays when it is given back", async () => {
  const held = await lockFolder(run);
  await writeFile(path, "another's");
  await held[Symbol.asyncDispose]();
  expect(await readFile(path, "utf8")).toBe("another's");
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
  await using _held = await lockFolder(run);
  await utimes(path, 0, 0);
  await vi.waitFor(async () => expect(Date.now() - (await stat(path)).mtimeMs).toBeLessThan(10_000), 15_000);
});
