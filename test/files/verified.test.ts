import { writeFileSync } from "node:fs";
import { mkdtemp, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { verifyOnce } from "../../src/files/verified.ts";

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
  file = join(folder, "weights");
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
  await write("first");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

/** When the system noted the last change of the file, in ms. */
const changed = async (): Promise<number> => Number((await stat(file)).ctimeMs);

/** Writes the file, with a time of modification that never changes, until the system notes another change; `later` the clock is so many ms on. */
async function write(text: string, later = 1000): Promise<void> {
  const before = await changed().catch(() => undefined);
  do {
    await writeFile(file, text);
    await utimes(file, 1000, 1000);
  } while ((await changed()) === before);
  vi.setSystemTime((await changed()) + later);
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
  await write("other");
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
  await write("fresh", 50);
  expect([looks(), looks()]).toEqual([true, true]);
});

test("where nothing can be noted, each start verifies", async () => {
  await writeFile(join(folder, "taken"), "");
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "taken"));
  expect([looks(), looks()]).toEqual([true, true]);
});
