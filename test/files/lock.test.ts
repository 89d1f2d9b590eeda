import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import * as disk from "node:fs/promises";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { lockFolder } from "../../src/files/lock.ts";
import { partialPath } from "../../src/files/partial.ts";
import { numberSpace, parseStatus, startOf } from "../../src/files/process.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof disk>();
  return { ...real, rm: vi.fn(real.rm), link: vi.fn(real.link), writeFile: vi.fn(real.writeFile) };
});

let folder: string;
let run: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
  run = join(folder, "runs", "a");
  path = join(run, ".lock");
});
afterEach(() => rm(folder, { recursive: true }));

/** Number of a process that has ended. */
const ended = (): number => spawnSync(process.execPath, ["-e", ""]).pid;

/** Leaves the lock of another process, as earlier versions wrote it: of this one's parent, which lives, where no other is given. */
async function leave(holder = process.ppid, host = hostname(), more: object = {}): Promise<string> {
  await mkdir(run, { recursive: true });
  const text = JSON.stringify({ process: holder, host, ...more });
  await writeFile(path, text);
  return text;
}

const taken = async (): Promise<boolean> => {
  const lock = await lockFolder(run).catch((error: unknown) => error);
  if (lock instanceof UsageError) return false;
  await (lock as AsyncDisposable)[Symbol.asyncDispose]();
  return true;
};

const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});

/** Starts a program of its own that knows `lockFolder`, and gives its lines one by one. */
function start(program: string, [command, ...before]: readonly [string, ...string[]] = [process.execPath]) {
  const module = new URL("../../src/files/lock.ts", import.meta.url).href;
  const text = `const { lockFolder } = await import(${JSON.stringify(module)}); const run = process.argv[1]; ${program}`;
  const args = [...before, "--import", "tsx", "--input-type=module", "-e", text, run];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  children.add(child);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    line: async (): Promise<string> => (await lines.next()).value,
    say: (text: string) => child.stdin.write(`${text}\n`),
  };
}

test("a lock is a file as long as it is held", async () => {
  {
    await using _lock = await lockFolder(run);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ process: process.pid, host: hostname() });
    expect(await readdir(run)).toEqual([".lock"]);
  }
  // The folders were made for it, and nothing was written.
  expect(await readdir(folder)).toEqual([]);
  const lock = await lockFolder(run);
  await writeFile(join(run, "model.json"), "");
  await lock.release();
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
  const text = await leave();
  const error = await lockFolder(run).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(UsageError);
  expect(String(error)).toContain(`process ${process.ppid} on ${hostname()} is writing into ${run}`);
  expect(await readFile(path, "utf8")).toBe(text);
  await leave(process.ppid, hostname(), { started: startOf(process.ppid) });
  expect(await taken()).toBe(false);
});

test("one process cannot hold a folder twice, but takes over what an earlier one with its number left", async () => {
  {
    await using _lock = await lockFolder(run);
    expect(await taken()).toBe(false);
  }
  await leave(process.pid, hostname(), { token: "of the earlier one" });
  expect(await taken()).toBe(true);
});

test("what a killed process left is taken over, by one of several", async () => {
  const gone = ended();
  await leave(gone);
  expect(await taken()).toBe(true);

  const contenders = Array.from({ length: 3 }, () =>
    start(`
      const { createInterface } = await import("node:readline");
      console.log("ready");
      let lock;
      for await (const line of createInterface(process.stdin)) {
        if (line === "release") await lock?.release();
        lock = line === "take" ? await lockFolder(run).catch(() => undefined) : undefined;
        console.log(lock ? "held" : "free");
      }`),
  );
  const answers = () => Promise.all(contenders.map(({ line }) => line()));
  const ask = (text: string) => {
    for (const { say } of contenders) say(text);
    return answers();
  };
  expect(await answers()).toEqual(["ready", "ready", "ready"]);
  for (let round = 0; round < 10; round++) {
    await leave(gone);
    expect((await ask("take")).sort(), `round ${round}`).toEqual(["free", "free", "held"]);
    expect(await ask("release")).toEqual(["free", "free", "free"]);
  }
  expect(await readdir(folder)).toEqual(["runs"]);
});

test("between looking at a lock that was left and removing it, nobody else takes it over", async () => {
  await leave(ended());
  const remove = vi.mocked(disk.rm).getMockImplementation()!;
  const events = new EventEmitter();
  const removing = once(events, "removing");
  vi.mocked(disk.rm).mockImplementation(async (file, options) => {
    if (file === path && events.emit("removing")) await once(events, "go on");
    await remove(file, options);
  });
  const first = lockFolder(run);
  await removing;
  vi.mocked(disk.link).mockClear();
  const second = lockFolder(run);
  const asked = () => expect(vi.mocked(disk.link).mock.calls.length).toBeGreaterThan(6);
  await Promise.race([second, vi.waitFor(asked, 10_000)]).catch(() => undefined);
  events.emit("go on");
  const outcomes = await Promise.allSettled([first, second]);
  vi.mocked(disk.rm).mockImplementation(remove);
  for (const outcome of outcomes) if (outcome.status === "fulfilled") await outcome.value.release();
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
});

describe.skipIf(process.platform !== "linux")("on Linux", () => {
  test("what a process left whose number another one has now is taken over", async () => {
    const [boot, ticks] = startOf(process.ppid)!.split(" ");
    await leave(process.ppid, hostname(), { started: `${boot} ${Number(ticks) - 1}`, space: numberSpace() });
    expect(await taken()).toBe(true);
  });

  const elsewhere: [string, object][] = [
    ["another boot of this machine", { started: `another-boot ${startOf(process.ppid)!.split(" ")[1]}` }],
    ["another container of this machine's name", { started: startOf(process.ppid), space: "pid:[1]" }],
  ];
  test.each(elsewhere)(
    "what %s left is taken over after 16 s without a sign of life, and not before",
    async (_, more) => {
      await leave(ended(), hostname(), more);
      const past = new Date(Date.now() - 17_000);
      await utimes(path, past, past);
      expect(await taken()).toBe(true);

      await leave(ended(), hostname(), more);
      const outcome = taken();
      const early = await Promise.race([outcome, setTimeout(200, "waits")]);
      expect(early).toBe("waits");
      const now = new Date(Date.now() + 1000);
      await utimes(path, now, now);
      expect(await outcome).toBe(false);
    },
  );

  test("who takes a folder over removes what killed processes left there, and nothing else", async () => {
    const gone = ended();
    const guard = (text: string) => `.lock.${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
    const stale = await leave(gone);
    await writeFile(join(run, guard("of an earlier lock")), stale);
    await writeFile(
      join(run, guard("of a living process")),
      JSON.stringify({ process: process.ppid, host: hostname() }),
    );
    const mine = basename(partialPath(join(run, "model.json")));
    const dead = mine.replace(`-${process.pid}-`, `-${gone}-`);
    for (const name of [mine, dead, "notes.partial"]) await writeFile(join(run, name), "");
    await using _lock = await lockFolder(run);
    expect((await readdir(run)).sort()).toEqual([".lock", guard("of a living process"), mine, "notes.partial"].sort());
  });

  test("a process that is killed, and that its parent does not ask for, holds nothing from that moment", async () => {
    for (let round = 0; round < 3; round++) {
      // The parent becomes `sleep`, which asks for no child.
      const { line } = start("await lockFolder(run); console.log(process.pid); setInterval(() => {}, 1000);", [
        "sh",
        "-c",
        '"$0" "$@" & exec sleep 1000',
        process.execPath,
      ]);
      const holder = Number(await line());
      expect(await taken()).toBe(false);
      process.kill(holder, "SIGKILL");
      expect(await taken()).toBe(true);
      expect(parseStatus(await readFile(`/proc/${holder}/stat`, "utf8"))).toMatchObject({ ended: true });
    }
  });

  test("the name of a program may hold anything", () => {
    const rest = "1 2 3 0 -1 4 0 0 0 0 0 0 0 0 20 0 7 0 73739 0";
    expect(parseStatus(`12 (a) R (b c) Z ${rest}`)).toEqual({
      ended: true,
      exiting: true,
      threads: 7,
      started: "73739",
    });
  });
});

test("a lock that is not whole is waited for a moment, then taken over", async () => {
  const whole = await leave();
  await writeFile(path, "");
  expect(await taken()).toBe(true);
  for (const text of ["", "{", "null", "{}"]) {
    await mkdir(run, { recursive: true });
    await writeFile(path, text);
    await utimes(path, 0, 0);
    expect(await taken(), text).toBe(true);
  }
  await mkdir(run, { recursive: true });
  await writeFile(path, "");
  const outcome = taken();
  await writeFile(path, whole);
  expect(await outcome).toBe(false);
});

test("where the file system has no links, a lock is written in its place", async () => {
  vi.mocked(disk.link).mockRejectedValue(
    Object.assign(new Error("EPERM: operation not permitted, link"), { code: "EPERM" }),
  );
  try {
    const lock = await lockFolder(run);
    expect(await readdir(run)).toEqual([".lock"]);
    expect(await taken()).toBe(false);
    await lock.release();
    await leave(ended());
    expect(await taken()).toBe(true);
  } finally {
    vi.mocked(disk.link).mockReset();
  }
});

test("where nothing can be written, nothing stays", async () => {
  vi.mocked(disk.writeFile).mockRejectedValueOnce(
    Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }),
  );
  await expect(lockFolder(run)).rejects.toThrow(
    new RegExp(
      `^${run}/\\.lock: cannot be written, for the disk is full \\(ENOSPC\\); it needs \\d+ bytes; nothing of it was left; make room`,
    ),
  );
  expect(await readdir(folder)).toEqual([]);
});

test("a lock that has become another's stays when it is given back", async () => {
  const lock = await lockFolder(run);
  await writeFile(path, "another's");
  await lock.release();
  expect(await readFile(path, "utf8")).toBe("another's");
});

test("another machine's process counts as living as long as it gives signs of life", async () => {
  await leave(ended(), "elsewhere");
  expect(await taken()).toBe(false);
  const past = new Date(Date.now() - 61_000);
  await utimes(path, past, past);
  expect(await taken()).toBe(true);
});

test("who holds a lock gives signs of life", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    await using _lock = await lockFolder(run);
    await utimes(path, 0, 0);
    vi.advanceTimersByTime(5_000);
    await vi.waitFor(async () => expect((await stat(path)).mtimeMs).toBeGreaterThan(0), 15_000);
  } finally {
    vi.useRealTimers();
  }
});
