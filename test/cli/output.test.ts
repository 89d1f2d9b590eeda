import { writeFileSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkOutput, writeFiles } from "../../src/cli/output.ts";
import { UsageError } from "../../src/errors.ts";
import { stage } from "../../src/files/atomic.ts";
import { temporaryFolder } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
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

describe("before the work", () => {
  test("an output that can be written passes, and leaves nothing", async () => {
    const before = await readdir(at());
    await checkOutput("--csv", at("far", "below", "a.csv"), ".csv");
    expect(await readdir(at())).toEqual(before);
  });

  test.runIf(process.platform === "linux")("a folder in which nothing can be made is found", async () => {
    for (const path of ["/proc/a.csv", "/proc/nothing/a.csv"])
      await expect(checkOutput("--csv", path, ".csv")).rejects.toThrow(
        new UsageError(`--csv: ${path} cannot be written, for nothing can be made in /proc (ENOENT)`),
      );
  });
});
