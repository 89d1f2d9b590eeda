import { readFileSync } from "node:fs";
import { Command as CommanderCommand, CommanderError, Option as CommanderOption } from "commander";
import { UsageError } from "../errors.ts";
import { dataCheck } from "./data-check/command.ts";
import { distill } from "./distill/command.ts";
import { doctor } from "./doctor/command.ts";
import { ema } from "./ema/command.ts";
import { encode } from "./encode/command.ts";
import { evaluate } from "./evaluate/command.ts";
import { exportModel } from "./export/command.ts";
import { importCheckpoint } from "./import/command.ts";
import { info } from "./info/command.ts";
import { nll } from "./nll/command.ts";
import { page } from "./page/command.ts";
import { sample } from "./sample/command.ts";
import { sweep } from "./sweep/command.ts";
import { type Command, type Context, command, type Terminal } from "./terminal/command.ts";
import { describeError, exitCode } from "./terminal/errors.ts";
import { flagOf, type Option } from "./terminal/option.ts";
import { trainClassifier } from "./train/classifier.ts";
import { trainDenoiser } from "./train/denoiser.ts";
import { trainDetector } from "./train/detector/command.ts";

/** Every command, in the order of the help. What they do is loaded when it is asked for. */
export const commands: readonly Command[] = [
  command(sample, async () => (await import("./sample/run.ts")).runSample),
  command(trainDenoiser, async () => (await import("./train/run.ts")).runDenoiser),
  command(trainClassifier, async () => (await import("./train/run.ts")).runClassifier),
  command(trainDetector, async () => (await import("./train/detector/run.ts")).runDetector),
  command(distill, async () => (await import("./distill/run.ts")).runDistill),
  command(ema, async () => (await import("./ema/run.ts")).runEma),
  command(encode, async () => (await import("./encode/run.ts")).runEncode),
  command(nll, async () => (await import("./nll/run.ts")).runNll),
  command(evaluate, async () => (await import("./evaluate/run.ts")).runEvaluate),
  command(sweep, async () => (await import("./sweep/run.ts")).runSweep),
  command(importCheckpoint, async () => (await import("./import/run.ts")).runImport),
  command(info, async () => (await import("./info/run.ts")).runInfo),
  command(dataCheck, async () => (await import("./data-check/run.ts")).runDataCheck),
  command(exportModel, async () => (await import("./export/run.ts")).runExport),
  command(page, async () => (await import("./page/run.ts")).runPage),
  command(doctor, async () => (await import("./doctor/run.ts")).runDoctor),
];

/** Commands of two words need a parent: "train denoiser". Its help leads with the examples of its commands. */
const groups: Readonly<Record<string, string>> = {
  train: "train a model on labelled images",
  data: "look at labelled images",
};

const overview = [
  "guidestar sample --class all --count 10                        # all ten digits, by the bundled model",
  "guidestar data check photos.zip",
  "guidestar train denoiser --data photos.zip --out runs/photos --size 32",
  "guidestar sample --model runs/photos --class cat --count 16 --out cats.png",
];

/** What the process gives a run of the command line, and what tests replace. */
export interface World {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Runs one command line, without `node guidestar` in front. Resolves to the exit code; errors become messages. */
export async function runCommandLine(argv: readonly string[], { terminal, signal }: World): Promise<number> {
  const verbose = argv.includes("--verbose");
  const program = base(new CommanderCommand("guidestar"), terminal, overview)
    .description("Train a small diffusion model on labelled images, steer it by class, and draw pictures from it.")
    .version(version(), "--version", "print the version");
  const parents = new Map(
    Object.entries(groups).map(([name, summary]) => {
      const members = commands.filter(({ definition }) => definition.name.startsWith(`${name} `));
      const examples = members.flatMap(({ definition }) => definition.examples);
      return [name, base(program.command(name), terminal, examples).description(summary)];
    }),
  );
  for (const command of commands) {
    const words = command.definition.name.split(" ");
    const parent = words.length > 1 ? parents.get(words[0]!)! : program;
    add(parent.command(words.at(-1)!), command, { terminal, signal, verbose });
  }
  try {
    await program.parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has printed what it has to say: help (0) or a complaint about the arguments.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error === signal.reason && signal.aborted) {
      terminal.message("interrupted\n");
      return 130;
    }
    terminal.message(`guidestar: ${describeError(error, verbose)}\n`);
    return exitCode(error);
  }
}

/** What all commands share: where output goes, errors thrown instead of exits, examples first in the help. */
function base(command: CommanderCommand, terminal: Terminal, examples: readonly string[]): CommanderCommand {
  return (
    command
      .exitOverride()
      .helpOption("-h, --help", "print this help")
      // Descriptions name defaults themselves, for those of a model depend on it. The reference's longest leaves few columns.
      .configureHelp({ optionDescription: ({ description }) => description, minWidthToWrap: 24 })
      .helpCommand(false)
      .configureOutput({
        writeOut: (text) => terminal.out(text),
        writeErr: (text) => terminal.message(text),
        outputError: (text, write) => write(text.replace(/^error: /, "guidestar: ").replace("\n(", " (")),
        ...(terminal.columns && { getErrHelpWidth: () => terminal.columns!, getOutHelpWidth: () => terminal.columns! }),
      })
      .addHelpText("before", `Examples:\n${examples.map((line) => `  ${line}\n`).join("")}`)
      .showSuggestionAfterError()
  );
}

function add(target: CommanderCommand, { definition, run }: Command, context: Omit<Context, "given">): void {
  const { name, argument, summary, examples, options, notes } = definition;
  base(target, context.terminal, examples).description(summary);
  if (argument)
    target.argument(
      argument.fallback === undefined ? `<${argument.name}>` : `[${argument.name}]`,
      argument.help,
      argument.fallback || undefined,
    );
  for (const [key, option] of Object.entries(options))
    for (const parsed of commanderOptions(key, option)) target.addOption(parsed);
  target.option("--verbose", "show where errors come from");
  if (notes) target.addHelpText("after", `\n${wrapped(notes, target, context.terminal)}`);
  target.action(async (first: unknown) => {
    const given = target.opts<Record<string, unknown>>();
    const values = Object.fromEntries(
      Object.entries(options).map(([key, { fallback }]) => [key, given[key] ?? fallback]),
    );
    for (const [key, { required, help }] of Object.entries(options))
      if (required && values[key] === undefined)
        throw new UsageError(`${flagOf(key)} is missing: ${help}; see guidestar ${name} --help`);
    await run(values, { ...context, given: new Set(Object.keys(given)) }, argument ? String(first ?? "") : "");
  });
}

/** An option under its flag and, hidden from the help, under its earlier names. All of them set the same value. */
function commanderOptions(key: string, option: Option<unknown>): CommanderOption[] {
  const { placeholder, bare, help, parse, negatable, aliases = [] } = option;
  const named = (flag: string): CommanderOption => {
    if (placeholder === undefined) return new CommanderOption(flag, help);
    const value = bare === undefined ? `<${placeholder}>` : `[${placeholder}]`;
    const named = new CommanderOption(`${flag} ${value}`, help + defaultOf(option));
    if (bare !== undefined) named.preset(bare);
    return named.argParser((text: string) => parse(text, flag));
  };
  const hidden = aliases.map((alias) => Object.assign(named(`--${alias}`).hideHelp(), { attributeName: () => key }));
  const off = negatable ? [new CommanderOption(flagOf(key).replace("--", "--no-"), help).hideHelp()] : [];
  return [named(flagOf(key)), ...off, ...hidden];
}

/** Lines are paragraphs, which are broken where the terminal ends; those that begin with a space are rows of a table. */
function wrapped(text: string, command: CommanderCommand, { columns = 80 }: Terminal): string {
  const help = command.createHelp();
  return text
    .split("\n")
    .map((line) => (line.startsWith(" ") ? line : help.boxWrap(line, columns)))
    .join("\n");
}

function defaultOf({ required, fallback, otherwise }: Option<unknown>): string {
  if (required) return " (required)";
  const shown = otherwise ?? fallback;
  return shown === undefined ? "" : ` (default: ${shown})`;
}

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;
