import { writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { makeFolder, removeEmpty } from "../../src/files/make-folder.ts";

/** What other processes do while folders are made. */
const system = vi.hoisted(() => ({ beforeMaking: (_: string): unknown => undefined }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const mkdirSync = (path: string) => {
    system.beforeMaking(path);
    return fs.mkdirSync(path);
  };
  return { ...fs, mkdirSync };
});

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-folder-"));
});
afterAll(() => rm(folder, { recursive: true }));

const at = (...path: string[]): string => join(folder, ...path);

test("makes what is missing and says what that was, from the top", async () => {
  expect(makeFolder(at("mine", "b", "c"))).toEqual([at("mine"), at("mine", "b"), at("mine", "b", "c")]);
  expect(makeFolder(at("mine", "b", "d", ".."))).toEqual([]);
  expect(makeFolder(at("mine", "b", "d"))).toEqual([at("mine", "b", "d")]);
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

test("folders that were made go again, but for those in which something lies by now", async () => {
  const made = makeFolder(at("made", "b", "c"));
  await writeFile(at("made", "other"), "of another process");
  removeEmpty(made);
  expect(await readdir(at("made"))).toEqual(["other"]);
});

test("where a deeper folder cannot be made, one in which something lies by now stays, and the error is the same", async () => {
  const deep = at("shared", "n".repeat(300));
  system.beforeMaking = (path) => path === deep && writeFileSync(at("shared", "other"), "of another process");
  expect(() => makeFolder(deep)).toThrow(UsageError);
  expect(await readdir(at("shared"))).toEqual(["other"]);
});

test.runIf(process.platform === "linux")("a file system that says nothing is there, though it is, is an error", () => {
  expect(() => makeFolder("/proc/nothing/below")).toThrow("/proc/nothing/below: this folder cannot be made (ENOENT");
});
