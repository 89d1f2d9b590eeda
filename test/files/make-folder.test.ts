import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { makeFolder } from "../../src/files/make-folder.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-folder-"));
});
afterAll(() => rm(folder, { recursive: true }));

const at = (...path: string[]): string => join(folder, ...path);

test("makes what is missing and says where that begins, as Node does", async () => {
  expect(makeFolder(at("mine", "b", "c"))).toBe(at("mine"));
  expect(await mkdir(at("nodes", "b", "c"), { recursive: true })).toBe(at("nodes"));
  expect(makeFolder(at("mine", "b", "d", ".."))).toBe(undefined);
  expect(makeFolder(at("mine", "b", "d"))).toBe(at("mine", "b", "d"));
  expect((await readdir(at("mine", "b"))).sort()).toEqual(["c", "d"]);
});

test("a link to a folder is a folder", async () => {
  await mkdir(at("real"));
  await symlink(at("real"), at("link"));
  makeFolder(at("link", "below"));
  expect(await readdir(at("real"))).toEqual(["below"]);
});

test("a file in the way is an error", async () => {
  await writeFile(at("file"), "");
  expect(() => makeFolder(at("file"))).toThrow(UsageError);
  expect(() => makeFolder(at("file", "b"))).toThrow(`${at("file", "b")}: this folder cannot be made (EEXIST`);
});

test("where a deeper folder cannot be made, none stays", async () => {
  const name = "n".repeat(300);
  expect(() => makeFolder(at("new", "b", name))).toThrow("ENAMETOOLONG");
  expect(await readdir(at())).not.toContain("new");
});

test.runIf(process.platform === "linux")("a file system that says nothing is there, though it is, is an error", () => {
  expect(() => makeFolder("/proc/nothing/below")).toThrow("/proc/nothing/below: this folder cannot be made (ENOENT");
});
