import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { cacheFolder, pruneCache } from "../../src/files/cache.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** An entry of 100 bytes that was used so many seconds ago: a file, or where it ends with "/" a folder of two. */
async function add(name: string, secondsAgo: number): Promise<void> {
  const path = join(folder, name);
  if (name.endsWith("/")) {
    await mkdir(path);
    for (const part of ["a", "b"]) await writeFile(join(path, part), new Uint8Array(50));
  } else await writeFile(path, new Uint8Array(100));
  const used = Date.now() / 1000 - secondsAgo;
  await utimes(path, used, used);
}

const prune = async (limit: number): Promise<string[]> => {
  await pruneCache(folder, limit, { whole: /-whole$/, unfinished: /-part$/ });
  return (await readdir(folder)).sort();
};

test("what was not used for longest goes first, files and folders alike", async () => {
  await add("1-whole", 10);
  await add("2-whole/", 30);
  await add("3-whole", 20);
  expect(await prune(300)).toEqual(["1-whole", "2-whole", "3-whole"]);
  expect(await prune(299)).toEqual(["1-whole", "3-whole"]);
  expect(await prune(100)).toEqual(["1-whole"]);
  expect(await prune(99)).toEqual([]);
});

test("what is being written stays and does not count; what was left an hour ago goes", async () => {
  await add("1-whole", 10);
  await add("2-part", 3500);
  await add("3-part/", 3700);
  expect(await prune(100)).toEqual(["1-whole", "2-part"]);
});

test("what has another name is not the cache's, and stays", async () => {
  await add("thesis.docx", 1e6);
  await add("photos/", 1e6);
  await add("1-whole", 10);
  expect(await prune(0)).toEqual(["photos", "thesis.docx"]);
});

test("the folder follows XDG_CACHE_HOME", () => {
  vi.stubEnv("XDG_CACHE_HOME", "/elsewhere");
  expect(cacheFolder("programs")).toBe(join("/elsewhere", "guidestar", "programs"));
  vi.unstubAllEnvs();
});
