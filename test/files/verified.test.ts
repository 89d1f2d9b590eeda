import { writeFileSync } from "node:fs";
import { mkdtemp, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { verifyOnce } from "../../src/files/verified.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
  file = join(folder, "weights");
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
  await write("first");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Writes the file, and waits until it is no longer fresh. */
async function write(text: string): Promise<void> {
  await writeFile(file, text);
  await setTimeout(150);
}

/** Whether the file is looked at. */
function looks(content = "hash"): boolean {
  const verify = vi.fn();
  verifyOnce(file, content, verify);
  return verify.mock.calls.length > 0;
}

test("a file is verified once, until it should hold something else", () => {
  expect([looks(), looks(), looks()]).toEqual([true, false, false]);
  expect([looks("another"), looks("another"), looks()]).toEqual([true, false, true]);
});

test("a file that was written to is verified again, whatever its time says", async () => {
  looks();
  const { atime, mtime } = await stat(file);
  await write("other");
  await utimes(file, atime, mtime);
  await setTimeout(150);
  expect((await stat(file)).mtime).toEqual(mtime);
  expect([looks(), looks()]).toEqual([true, false]);
});

test("a file that failed, or that changed while it was looked at, is verified again", async () => {
  const fail = () => {
    throw new Error("damaged");
  };
  expect(() => verifyOnce(file, "hash", fail)).toThrow("damaged");
  expect(looks()).toBe(true);
  verifyOnce(file, "changed", () => writeFileSync(file, "again"));
  expect(looks("changed")).toBe(true);
});

test("a file that was written a moment ago is verified again, for another change may get the same time", async () => {
  await writeFile(file, "fresh");
  expect([looks(), looks()]).toEqual([true, true]);
});

test("where nothing can be noted, each start verifies", async () => {
  await writeFile(join(folder, "taken"), "");
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "taken"));
  expect([looks(), looks()]).toEqual([true, true]);
});
