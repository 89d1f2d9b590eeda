import { mkdirSync, readdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { runCommandLine } from "../../src/cli/program.ts";
import { kinds } from "./kinds.ts";
import { chance } from "./mutate.ts";

/*
 * Runs the cases of one kind in this process, and writes a line of JSON before and after each. Arguments: kind, an empty folder, seed, first case,
 * and how many. A case before the first one is each whole file, which must be read.
 */

/** What a case came to. */
export interface Result {
  readonly index: number;
  readonly file: string;
  readonly codes: readonly number[];
  /** Milliseconds. */
  readonly took: number;
  /** The largest size of the process until now, in bytes. */
  readonly peak: number;
  /** What is wrong with it. */
  readonly problem?: string | undefined;
  /** What was said. */
  readonly said?: string | undefined;
}

const LONGEST_LINE = 1200;

const [kindName, folder, seed, first, count] = process.argv.slice(2) as [string, string, string, string, string];
const report = (value: unknown) => writeSync(1, `${JSON.stringify(value)}\n`);
let escaped: unknown;

const temporary = join(folder, "temporary");
const out = join(folder, "out");
const inputs = join(folder, "inputs");
for (const path of [temporary, out, inputs]) mkdirSync(path, { recursive: true });
process.env.TMPDIR = temporary;
process.env.XDG_CACHE_HOME = join(folder, "cache");
process.env.GUIDESTAR_PROGRAM_CACHE = "off";

const kind = await kinds[kindName!]!(inputs);
process.on("unhandledRejection", (error) => {
  escaped = error;
});
process.on("uncaughtException", (error) => {
  escaped = error;
});

async function run(argv: readonly string[]): Promise<{ code: number; out: string; messages: string }> {
  let [text, messages] = ["", ""];
  const terminal = {
    out: (part: string) => {
      text += part;
    },
    message: (part: string) => {
      messages += part;
    },
    columns: undefined,
    color: false,
  };
  const code = await runCommandLine(argv, { terminal, signal: new AbortController().signal });
  return { code, out: text, messages };
}

/** What is wrong with how a command ended; undefined where nothing is. */
function problemOf({ code, out: text, messages }: Awaited<ReturnType<typeof run>>): string | undefined {
  const lines = messages.split("\n").filter((line) => line !== "");
  if (escaped !== undefined)
    return `an error that nobody caught: ${escaped instanceof Error ? escaped.stack : String(escaped)}`;
  if (!(code === 0 || code === 3 || (code === 2 && kind.usage))) return `exit code ${code}`;
  const long = lines.find((line) => line.length > LONGEST_LINE);
  if (long !== undefined) return `a line of ${long.length} characters`;
  const errors = lines.filter((line) => line.startsWith("guidestar: "));
  if (code !== 0 && (errors.length !== 1 || lines.at(-1) !== errors[0])) return `${errors.length} lines of errors`;
  if (code !== 0 && text !== "") return "it printed an answer, and failed";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
  if (/[\u0000-\u0009\u000b-\u001f\u007f]/.test(messages)) return "control characters in a message";
  if (code !== 0) {
    const left = [...readdirSync(out, { recursive: true }), ...readdirSync(temporary)].filter(
      (name) => !String(name).startsWith("tsx-"),
    );
    if (left.length > 0) return `files were left: ${left.join(", ")}`;
  }
  return undefined;
}

async function runCase(index: number, file: string, bytes: Uint8Array, whole: boolean): Promise<void> {
  report({ start: index });
  const path = join(kind.folder, file);
  writeFileSync(path, bytes);
  const began = performance.now();
  const codes: number[] = [];
  let [problem, said]: (string | undefined)[] = [];
  for (const argv of kind.commands(path, out)) {
    const done = await run(argv);
    await new Promise(setImmediate);
    codes.push(done.code);
    problem = problemOf(done);
    said = done.messages.slice(0, 3000);
    if (problem === undefined && whole && done.code !== 0) problem = "a whole file was refused";
    if (problem !== undefined || done.code !== 0) break;
  }
  escaped = undefined;
  for (const each of [out, temporary]) {
    rmSync(each, { recursive: true, force: true });
    mkdirSync(each);
  }
  rmSync(join(folder, "cache"), { recursive: true, force: true });
  const peak = process.resourceUsage().maxRSS * 1024;
  report({ index, file, codes, took: performance.now() - began, peak, problem, said } satisfies Result);
}

async function runAll(): Promise<void> {
  let index = -1;
  for (const { file, whole } of kind.formats) for (const bytes of whole) await runCase(index--, file, bytes, true);
  for (index = Number(first); index < Number(first) + Number(count); index++) {
    const format = kind.formats[index % kind.formats.length]!;
    await runCase(index, format.file, format.damaged(chance(Number(seed), index)), false);
  }
}

runAll().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
