import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type RuntimeFailure, WriteFailure } from "../../src/errors.ts";
import { stage, writeAtomically } from "../../src/files/atomic.ts";
import { writeFailure } from "../../src/files/write-failure.ts";

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "guidestar-write-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const error = (code: string, syscall = "write") => Object.assign(new Error(`${code}: no`), { code, syscall });
const messageOf = (failure: unknown): string => {
  expect(failure).toBeInstanceOf(WriteFailure);
  expect(failure).toMatchObject({ code: "runtime" } satisfies Partial<RuntimeFailure>);
  return (failure as Error).message;
};

test.each([
  ["ENOSPC", "the disk is full", "make room there"],
  ["EDQUOT", "your quota of the disk is used up", "make room there"],
  ["EFBIG", "it is larger than a file may be there", "raise the limit (ulimit -f), or choose another file system"],
  ["EROFS", "the file system is read-only", "choose another place"],
  ["EACCES", "permission is denied", "change the permissions, or choose another place"],
  ["EPERM", "the system does not permit it", "change the permissions, or choose another place"],
  ["EIO", "the disk failed", "check the disk, or choose another place"],
])("%s is said in words, with what to do", async (code, why, remedy) => {
  const folder = await temporary();
  const path = join(folder, "x.npz");
  expect(messageOf(writeFailure(path, error(code), 1_500_000))).toBe(
    `${path}: cannot be written, for ${why} (${code}); it needs 1.5 MB; nothing of it was left; ${remedy}, then run the command again`,
  );
  await writeFile(path, "before");
  expect(messageOf(writeFailure(path, error(code)))).toBe(
    `${path}: cannot be written, for ${why} (${code}); the file that was there is as it was; ${remedy}, then run the command again`,
  );
});

test("more than is free is said to be so", async () => {
  const path = join(await temporary(), "x");
  expect(messageOf(writeFailure(path, error("ENOSPC"), 2 ** 60))).toMatch(
    /it needs 1152921504606\.8 MB, and [\d.]+ MB are free;/,
  );
});

test("errors of what is read, and of other things, stay as they are", () => {
  for (const other of [error("EIO", "read"), error("EBADF"), new Error("no room")])
    expect(writeFailure("x", other)).toBe(other);
});

test("what a file needs is counted whole, also where it comes in parts; the old one stays", async () => {
  const folder = await temporary();
  const path = join(folder, "x");
  await writeFile(path, "before");
  function* parts() {
    yield new Uint8Array(1000);
    // As the system says when it takes no more.
    yield { length: 1500, subarray: () => { throw error("ENOSPC"); } } as unknown as Uint8Array; // biome-ignore format: one line
    yield new Uint8Array(500);
  }
  expect(messageOf(await stage(path, parts()).catch((error: unknown) => error))).toMatch(
    /cannot be written, for the disk is full \(ENOSPC\); it needs 3\.0 kB; the file that was there is as it was/,
  );
  expect(await readFile(path, "utf8")).toBe("before");
  expect(await readdir(folder)).toEqual(["x"]);
});

test("a name that the system does not take", async () => {
  const folder = await temporary();
  const path = join(folder, `${"n".repeat(300)}.x`);
  expect(messageOf(await writeAtomically(path, "x").catch((error: unknown) => error))).toMatch(
    /for its name is too long \(ENAMETOOLONG\); it needs 1 bytes?; nothing/,
  );
  expect(await readdir(folder)).toEqual([]);
});
