import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { loadModel } from "../../../src/checkpoint/model-folder.ts";
import { isPartial } from "../../../src/files/partial.ts";
import { uniforms } from "../../../src/random.ts";
import { isBuilt, root } from "../../support/package.ts";
import { contentOf, type Inputs, type LongCommand } from "./commands.ts";

const signals = ["SIGKILL", "SIGHUP", "SIGTERM"] as const;

/** Where commands run: a folder for all of their files, and what they read. */
export interface Place {
  readonly folder: string;
  readonly inputs: Inputs;
}

const children = new Set<ChildProcess>();
/** Ends what a test that failed left running. */
export function endAll(): void {
  for (const child of children) child.kill("SIGKILL");
}

/** The built command line where it is what the sources are, for it starts faster. */
const program = isBuilt() ? [join(root, "dist/cli/main.js")] : ["--import", "tsx", join(root, "src/cli/main.ts")];

/** Starts a command line in a process of its own, which keeps programs and temporary files in the tests' folder. */
function start(argv: readonly string[], folder: string) {
  const own = { XDG_CACHE_HOME: join(folder, "cache"), TMPDIR: join(folder, "tmp"), GUIDESTAR_PROGRAM_CACHE: "200" };
  const child = spawn(process.execPath, [...program, ...argv], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...own },
  });
  children.add(child);
  let messages = "";
  child.stderr.on("data", (text) => {
    messages += text;
  });
  const ended = once(child, "close").then(([code, signal]) => {
    children.delete(child);
    return { code: code as number | null, signal: signal as string | null, messages };
  });
  return { child, ended, said: () => messages !== "" };
}

/** Runs a command line to its end, and gives the milliseconds that it took. Throws where it fails. */
async function succeed(argv: readonly string[], folder: string): Promise<number> {
  const began = performance.now();
  const { code, messages } = await start(argv, folder).ended;
  if (code !== 0) throw new Error(`guidestar ${argv.join(" ")} ended with ${code}: ${messages}`);
  return performance.now() - began;
}

/** Makes what the commands read, in a folder that has `images`. */
export async function prepare(folder: string): Promise<Place> {
  const at = (name: string): string => join(folder, name);
  await mkdir(at("tmp"));
  const training = ["--preset", "tiny", "--batch-size", "4", "--threads", "1", "--steps", "4", "--power-ema"];
  await succeed(["train", "denoiser", "--data", at("images"), "--out", at("run"), ...training], folder);
  const few = ["--count", "30", "--steps", "2", "--threads", "1", "--out", at("digits.png"), "--npz", at("digits.npz")];
  await succeed(["sample", "--class", "all", ...few], folder);
  const torch = fileURLToPath(new URL("../../../conformance/data/unet_adm.pt", import.meta.url));
  return { folder, inputs: { images: at("images"), run: at("run"), digits: at("digits.npz"), torch } };
}

/** Loads the model of a folder over and over, if there is one; fails where it cannot be loaded. */
function reader(out: string) {
  let ended = false;
  let loads = 0;
  const reading = (async () => {
    while (!ended) {
      if (existsSync(join(out, "model.json"))) {
        await loadModel(out);
        loads++;
      }
      await setTimeout(20);
    }
  })();
  const end = async (): Promise<number> => {
    ended = true;
    await reading;
    return loads;
  };
  return { reading, end };
}

/** Files and folders below some that a run left which did not end in order. */
async function leftovers(...folders: string[]): Promise<string[]> {
  const found = folders.map((path) => readdir(path, { recursive: true }).catch(() => []));
  const isLeft = (path: string): boolean => path.split("/").some(isPartial) || /(^|\/)\.lock|\.new$/.test(path);
  return (await Promise.all(found)).flat().filter(isLeft);
}

async function prepared({ joins, name }: LongCommand, { folder, inputs }: Place, which: string): Promise<string> {
  const out = join(folder, "out", `${name.replaceAll(/\W+/g, "-")}-${which}`);
  if (joins) await cp(inputs[joins], out, { recursive: true });
  return out;
}

/** What was hit. */
export interface Figures {
  /** Processes that a signal reached, of which `working` held their folder or had said something, and that had ended before. */
  readonly kills: number;
  readonly working: number;
  readonly ended: number;
  /** Runs that went to their end after one to five kills. */
  readonly runs: number;
  /** How often the model that was there was loaded meanwhile. */
  readonly loads: number;
  /** What was not as it should be: results that differ, files that were left, ends with another code. */
  readonly failures: readonly string[];
}

/** Kills a command so many times at random moments of its usual time, in chains after which it runs to its end. */
export async function killAtRandom(
  command: LongCommand,
  place: Place,
  { kills, seed, stream }: { readonly kills: number; readonly seed: number; readonly stream: number },
): Promise<Figures> {
  const { folder, inputs } = place;
  const whole = await prepared(command, place, "whole");
  let usual = await succeed(command.argv(inputs, whole), folder);
  // The first one made programs for the others.
  if (kills > 10) usual = await succeed(command.argv(inputs, await prepared(command, place, "again")), folder);
  const moments = uniforms(seed, stream, 2 * kills);
  const figures = { kills: 0, working: 0, ended: 0, runs: 0, loads: 0 };
  const failures: string[] = [];

  const kill = async (out: string, n: number): Promise<void> => {
    const { child, said, ended } = start(command.argv(inputs, out), folder);
    const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
    const isWorking = (): boolean => said() || existsSync(join(out, ".lock"));
    // One of three at any moment, the others once it works, for half of such a short command is its start.
    const early = n % 3 === 0;
    while (!early && !isWorking() && !isOver()) await setTimeout(5);
    await Promise.race([ended, setTimeout((early ? 1 : 0.4) * usual * moments[n]!)]);
    const tooLate = isOver();
    if (!tooLate && isWorking()) figures.working++;
    if (!tooLate) child.kill(signals[n % signals.length]);
    figures[tooLate ? "ended" : "kills"]++;
    const { code, messages } = await ended;
    // It had ended, was put in order, or was killed.
    if (![0, 130, null].includes(code)) failures.push(`kill ${n}: code ${code}: ${messages}`);
  };
  for (let n = 0; n < kills; figures.runs++) {
    const out = await prepared(command, place, String(figures.runs));
    const { reading, end } = reader(out);
    const chain = async (): Promise<void> => {
      for (let left = 1 + Math.floor(5 * moments[kills + n]!); left > 0 && n < kills; left--) await kill(out, n++);
      await succeed(command.argv(inputs, out), folder);
    };
    await Promise.all([chain().finally(end), reading]).catch((error: Error) =>
      failures.push(`${out}: ${error.message}`),
    );
    figures.loads += await end().catch(() => 0);
    for (const file of command.results)
      if ((await contentOf(join(out, file))) !== (await contentOf(join(whole, file))))
        failures.push(`${out}/${file} differs from that of a run that was left alone`);
    failures.push(...(await leftovers(out, join(folder, "tmp"))).map((path) => `${path} was left`));
  }
  return { ...figures, failures };
}
