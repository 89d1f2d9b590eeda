import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Result } from "./child.ts";

/*
 * Damaged files of every kind that is read, by the functions that the command line runs: each gives a right answer, or ends with exit code 3 and one
 * line. Never a stack, a hang, a process over 1 GB, or a file that was left.
 *
 * A case is a function of a seed and its number. `GUIDESTAR_FUZZ=1000 npm test -- test/fuzz` runs a thousand of each kind;
 * `GUIDESTAR_FUZZ_SEED=7` runs others; `GUIDESTAR_FUZZ_KIND=zips` one kind; `GUIDESTAR_FUZZ_FIRST=400` begins there.
 */
const names = ["pictures", "zips", "tars", "tables", "arrays", "weights", "model.json", "records of runs"];

const { GUIDESTAR_FUZZ, GUIDESTAR_FUZZ_SEED, GUIDESTAR_FUZZ_KIND, GUIDESTAR_FUZZ_FIRST } = process.env;
const count = Number(GUIDESTAR_FUZZ ?? 25);
const seed = Number(GUIDESTAR_FUZZ_SEED ?? 1);
const first = Number(GUIDESTAR_FUZZ_FIRST ?? 0);

/** Milliseconds that a case may take, on a machine that others use too; the start of the process takes longest. */
const longest = 30_000;
const mostMemory = 1e9;

const child = fileURLToPath(new URL("child.ts", import.meta.url));

/** Runs cases of a kind in one process. Gives what each came to, and how the process ended. */
async function runKind(kind: string, folder: string): Promise<{ results: Result[]; ended: string }> {
  const argv = ["--import", "tsx", child, kind, folder, String(seed), String(first), String(count)];
  const running = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
  const results: Result[] = [];
  let [last, errors, hung] = ["the start", "", false];
  running.stderr.on("data", (text) => {
    errors += text;
  });
  const stop = () => {
    hung = true;
    running.kill("SIGKILL");
  };
  let timer = setTimeout(stop, 2 * longest);
  for await (const line of createInterface(running.stdout)) {
    clearTimeout(timer);
    timer = setTimeout(stop, longest);
    const value = JSON.parse(line) as Result | { readonly start: number };
    if ("start" in value) last = `case ${value.start}`;
    else results.push(value);
  }
  clearTimeout(timer);
  const code = running.exitCode ?? (await new Promise<number | null>((resolve) => running.once("close", resolve)));
  const ended =
    code === 0
      ? "well"
      : `${hung ? `hung, longer than ${longest} ms` : `with code ${code}`}, at ${last}: ${errors.slice(-2000)}`;
  return { results, ended };
}

test.each(names.filter((name) => GUIDESTAR_FUZZ_KIND === undefined || name === GUIDESTAR_FUZZ_KIND))(
  "damaged %s",
  async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), "guidestar-fuzz-"));
    try {
      const { results, ended } = await runKind(kind, folder);
      expect(ended).toBe("well");
      expect(results.filter(({ problem }) => problem !== undefined)).toEqual([]);
      expect(results.filter(({ peak }) => peak > mostMemory)).toEqual([]);
      const damaged = results.filter(({ index }) => index >= 0);
      expect(damaged).toHaveLength(count);
      // The cases are worth something: some are refused.
      expect(damaged.some(({ codes }) => codes.includes(3))).toBe(true);
      expect((await readdir(folder)).sort()).toEqual(["inputs", "out", "temporary"]);
      if (GUIDESTAR_FUZZ !== undefined) console.log(figures(kind, damaged));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  Math.max(120_000, count * 5_000),
);

/** What a long run says of itself. */
function figures(kind: string, results: readonly Result[]): string {
  const refused = results.filter(({ codes }) => codes.at(-1) !== 0).length;
  const most = (of: (result: Result) => number): number => Math.max(...results.map(of));
  return (
    `${kind}: ${results.length} cases, ${results.length - refused} answered, ${refused} refused; ` +
    `longest ${Math.round(most(({ took }) => took))} ms, largest process ${Math.round(most(({ peak }) => peak) / 1e6)} MB`
  );
}
