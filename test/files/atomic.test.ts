import { writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stage, writeFiles } from "../../src/files/atomic.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
});
afterAll(() => rm(folder, { recursive: true }));
const at = (...path: string[]): string => join(folder, ...path);
const bytes = Uint8Array.of(1, 2, 3);

test("files are written with the folders that they need", async () => {
  await writeFiles([
    [at("a", "b", "one"), bytes],
    [at("a", "two"), bytes],
  ]);
  expect(await readdir(at("a"))).toEqual(["b", "two"]);
  expect(new Uint8Array(await readFile(at("a", "b", "one")))).toEqual(bytes);
});

test("when the signal is raised, nothing is written", async () => {
  const stop = new AbortController();
  function* parts() {
    yield bytes;
    stop.abort(new Error("enough"));
    yield bytes;
  }
  const files = [[at("x", "one"), bytes] as const, [at("x", "two"), parts()] as const];
  await expect(writeFiles(files, stop.signal)).rejects.toThrow("enough");
  expect(await readdir(at())).not.toContain("x");
});

test("where one cannot be written, all stay as they were", async () => {
  await mkdir(at("old"));
  await writeFile(at("old", "kept"), "before");
  const files: [string, Uint8Array][] = [
    [at("old", "kept"), bytes],
    [at("new", "file"), bytes],
    [at("old", "kept", "below"), bytes],
  ];
  await expect(writeFiles(files)).rejects.toThrow(/EEXIST|ENOTDIR/);
  expect(await readFile(at("old", "kept"), "utf8")).toBe("before");
  expect(await readdir(at("old"))).toEqual(["kept"]);
  expect(await readdir(at())).not.toContain("new");
});

test("what another process wrote in the meantime stays where one fails", async () => {
  function* parts() {
    yield bytes;
    writeFileSync(at("both", "below", "other"), "results of hours");
    throw new Error("no room");
  }
  await expect(writeFiles([[at("both", "below", "mine"), parts()]])).rejects.toThrow("no room");
  expect(await readdir(at("both", "below"))).toEqual(["other"]);
});

test("a folder in the place that cannot be replaced is an error that leaves nothing", async () => {
  await mkdir(at("taken", "folder"), { recursive: true });
  const files = ["file", "folder", "third"].map((name) => [at("taken", name), bytes] as const);
  await expect(writeFiles(files)).rejects.toThrow("EISDIR");
  expect((await readdir(at("taken"))).sort()).toEqual(["file", "folder"]);
});

test("two that write the same file at once write it whole, and a folder of any name beside it is no hindrance", async () => {
  await mkdir(at("shared", "file.partial"), { recursive: true });
  const path = at("shared", "file");
  const [one, other] = [await stage(path, "one"), await stage(path, "other")];
  await one.commit();
  expect(await readFile(path, "utf8")).toBe("one");
  await other.commit();
  expect(await readFile(path, "utf8")).toBe("other");
  expect((await readdir(at("shared"))).sort()).toEqual(["file", "file.partial"]);
});
