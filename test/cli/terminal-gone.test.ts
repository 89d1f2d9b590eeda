import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { latestCheckpoint } from "../../src/checkpoint/run-folder.ts";
import { temporaryFolder, writeImages } from "./world.ts";

const folder = temporaryFolder();
const at = (...path: string[]): string => join(folder.path, ...path);
beforeAll(() => writeImages(at("images")));

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const children = new Set<ChildProcess>();
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
});
type Stdio = ("pipe" | "ignore" | number)[];
const start = (stdio: Stdio, ...argv: string[]): ChildProcess => {
  const child = spawn(process.execPath, ["--import", "tsx", main, ...argv], { stdio });
  children.add(child);
  return child;
};
const ended = async (child: ChildProcess): Promise<[code: number | null, signal: string | null]> =>
  (await once(child, "close")) as [number | null, string | null];
const textOf = async (child: ChildProcess): Promise<string> => {
  let text = "";
  for await (const part of child.stderr!) text += part;
  return text;
};

const train = (out: string, steps: number, ...more: string[]): string[] => [
  ...["train", "denoiser", "--data", at("images"), "--out", at(out), "--preset", "tiny", "--batch-size", "4"],
  ...["--threads", "1", "--steps", String(steps), "--checkpoint-every", "1000000", ...more],
];
const stepsOf = async (out: string): Promise<number> =>
  (await readFile(at(out, "metrics.jsonl"), "utf8")).trimEnd().split("\n").length;

describe("a training whose messages nobody can read", () => {
  test("goes on to its end where the reader closed the pipe", async () => {
    const child = start(["ignore", "pipe", "pipe"], ...train("closed", 8));
    child.stdout!.destroy();
    child.stderr!.once("data", () => child.stderr!.destroy());
    expect(await ended(child)).toEqual([0, null]);
    expect(await stepsOf("closed")).toBe(8);
    expect(await latestCheckpoint(at("closed", "checkpoints", "denoiser"))).toContain("step-00000008");
  });

  test.runIf(existsSync("/dev/full"))("goes on to its end where the disk of its log is full", async () => {
    const child = start(["ignore", "ignore", openSync("/dev/full", "w")], ...train("full", 8));
    expect(await ended(child)).toEqual([0, null]);
    expect(await stepsOf("full")).toBe(8);
  });

  // Node makes no pseudo-terminals; `script` of util-linux does. Which of its signals comes first decides between the codes.
  test.runIf(existsSync("/usr/bin/script"))(
    "goes on to its end, or ends in order, where its terminal is gone",
    async () => {
      const command = [process.execPath, "--import", "tsx", main, ...train("window", 40)];
      const line = `trap '' HUP; ${command.map((word) => `'${word}'`).join(" ")}; echo "$?" > '${at("window-code")}'`;
      const window = spawn("/usr/bin/script", ["-qec", line, "/dev/null"], { stdio: ["ignore", "pipe", "ignore"] });
      children.add(window);
      for await (const part of window.stdout) if (/ [1-9]\/40 /.test(String(part))) break;
      window.kill("SIGKILL");
      const deadline = Date.now() + 60_000;
      while (!existsSync(at("window-code")) && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await readFile(at("window-code"), "utf8")).trim()).toMatch(/^(0|130)$/);
    },
  );
});

test.runIf(existsSync("/dev/full"))(
  "where data cannot be printed, one line says so, and files are written",
  async () => {
    const full = openSync("/dev/full", "w");
    const info = start(["ignore", full, "pipe"], "info", "digits");
    const [text, outcome] = await Promise.all([textOf(info), ended(info)]);
    expect(outcome).toEqual([1, null]);
    expect(text).toMatch(/^guidestar: standard output: cannot be written \(ENOSPC.*\n$/);
    const sample = ["sample", "--class", "3", "--steps", "2", "--threads", "1", "--out"];
    expect(await ended(start(["ignore", full, full], ...sample, at("three.png")))).toEqual([1, null]);
    expect(await ended(start(["ignore", "ignore", full], ...sample, at("four.png")))).toEqual([0, null]);
    expect([existsSync(at("three.png")), existsSync(at("four.png"))]).toEqual([true, true]);
  },
);

test.skipIf(process.platform === "win32").each(["SIGHUP", "SIGTERM"] as const)(
  "%s, twice as a closing window sends it, writes a checkpoint and ends in order",
  async (signal) => {
    const child = start(["ignore", "ignore", "pipe"], ...train(signal, 1_000_000));
    let asked = false;
    child.stderr!.on("data", (text) => {
      if (asked || !String(text).includes("/1000000  ")) return;
      asked = true;
      child.kill(signal);
      setTimeout(() => child.kill(signal), 20);
    });
    const [text, outcome] = await Promise.all([textOf(child), ended(child)]);
    expect(outcome).toEqual([130, null]);
    const [, step] =
      /stopped after step (\d+); to go on: guidestar train denoiser --out .* --resume\n$/.exec(text) ?? [];
    expect(await latestCheckpoint(at(signal, "checkpoints", "denoiser"))).toContain(`step-${step!.padStart(8, "0")}`);
  },
);
