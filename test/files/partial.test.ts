import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stage, writeAtomically } from "../../src/files/atomic.ts";
import { pruneCache } from "../../src/files/cache.ts";
import { isAbandoned, makePartialFolder, partialPath, removeAbandoned } from "../../src/files/partial.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
});
afterEach(() => rm(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

/** Files that a process of its own began to write, and whether it lives. */
async function begun(kill: boolean) {
  const module = new URL("../../src/files/atomic.ts", import.meta.url).href;
  const program = `
    const { stage } = await import(${JSON.stringify(module)});
    await stage(process.argv[1], "half");
    console.log("staged");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program, at("model.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(createInterface(child.stdout), "line");
  const end = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  if (kill) await end();
  return { end };
}

test("what a killed process was writing goes when the next one writes there; what a living one is writing stays", async () => {
  await begun(true);
  expect(await readdir(folder)).toEqual([expect.stringMatching(/^model\.json\..*\.partial$/)]);
  const living = await begun(false);
  expect(await readdir(folder)).toHaveLength(1);
  const [theirs] = await readdir(folder);
  await writeAtomically(at("other.png"), "whole");
  expect((await readdir(folder)).sort()).toEqual([theirs, "other.png"].sort());
  await living.end();
  await writeAtomically(at("other.png"), "whole");
  expect(await readdir(folder)).toEqual(["other.png"]);
});

test("what this process is writing stays", async () => {
  const staged = await stage(at("a"), "1");
  await writeAtomically(at("b"), "2");
  await removeAbandoned(folder);
  await staged.commit();
  expect((await readdir(folder)).sort()).toEqual(["a", "b"]);
});

test("of another machine's processes, and those that an earlier version did not name, only what is an hour old goes", () => {
  const mine = basename(partialPath(at("a")));
  const [, where] = /^a\.([0-9a-f]{8})-/.exec(mine)!;
  const elsewhere = mine.replace(where!, createHash("sha256").update("elsewhere").digest("hex").slice(0, 8));
  const unnamed = "a.6f1ed002-ab55-4a00-8c3a-1b5c6a7f0d11.partial";
  for (const name of [elsewhere, unnamed]) {
    expect(isAbandoned(name, Date.now() - 3_500_000), name).toBe(false);
    expect(isAbandoned(name, Date.now() - 3_700_000), name).toBe(true);
  }
  for (const name of ["notes.partial", "a.part", "6f1ed002.partial"]) expect(isAbandoned(name, 0), name).toBe(false);
});

test("a process that was given the number of one that ended is not taken for it", () => {
  const mine = basename(partialPath(at("a")));
  expect(isAbandoned(mine, 0)).toBe(false);
  expect(isAbandoned(mine.replace(/-[0-9a-f]{8}-(\d+)-/, "-00000000-$1-"), Date.now())).toBe(
    process.platform === "linux",
  );
});

test("folders that were being made go too, from temporary folders and caches", async () => {
  const gone = spawnSync(process.execPath, ["-e", ""]).pid;
  const folders = [await makePartialFolder(at("weights")), await makePartialFolder(at("program"))];
  expect((await stat(folders[0]!)).mode & 0o777).toBe(0o700);
  const left = basename(folders[0]!).replace(`-${process.pid}-`, `-${gone}-`);
  await mkdir(at(left));
  await writeFile(join(at(left), "large"), "x");
  await utimes(at(left), 0, 0);
  await pruneCache(folder, 0, { whole: /^$/, unfinished: /^$/ });
  expect((await readdir(folder)).sort()).toEqual(folders.map((path) => basename(path)).sort());
  await mkdir(at(left));
  folders.push(await makePartialFolder(at("other")));
  expect((await readdir(folder)).sort()).toEqual(folders.map((path) => basename(path)).sort());
});

test("a name that is as long as file systems take can be written", async () => {
  for (const name of ["x".repeat(255), `${"ä".repeat(125)}.png`]) {
    await writeAtomically(at(name), "whole");
    expect(await readdir(folder)).toEqual([name]);
    await rm(at(name));
  }
});
