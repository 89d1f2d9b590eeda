import { Command as CommanderCommand, CommanderError } from "commander";
import type { Command, Context, Terminal } from "./command.ts";
import { sample } from "./commands/sample.ts";
import { trainClassifier } from "./commands/train-classifier.ts";
import { trainDenoiser } from "./commands/train-denoiser.ts";
import { describeError, exitCode } from "./errors.ts";
import { flagOf } from "./option.ts";

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [sample, trainDenoiser, trainClassifier];

/** Commands of two words need a parent: "train denoiser". */
const groups: Readonly<Record<string, string>> = {
  train: "train a model on labelled images",
  data: "look at labelled images",
};

const overview = `Examples:
  guidestar sample --class all --count 10                        # all ten digits, by the bundled model
  guidestar data check photos.zip
  guidestar train denoiser --data photos.zip --out runs/photos --size 32
  guidestar sample --model runs/photos --class cat --count 16 --out cats.png
`;

/** What the process gives a run of the command line, and what tests replace. */
export interface World {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
}

/** Runs one command line, without \`node guidestar\` in front. Resolves to the exit code; errors become messages. */
export async function runCommandLine(argv: readonly string[], { terminal, signal }: World): Promise<number> {
  const verbose = argv.includes("--verbose");
  const program = base(new CommanderCommand("guidestar"), terminal, overview)
    .description("Train a small diffusion model on labelled images, steer it by class, and draw pictures from it.")
    .version("0.1.0", "--version", "print the version");
  const parents = new Map(
    Object.entries(groups).map(([name, summary]) => [name, base(program.command(name), terminal).description(summary)]),
  );
  for (const command of commands) {
    const words = command.name.split(" ");
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
function base(command: CommanderCommand, terminal: Terminal, examples = ""): CommanderCommand {
  return command
    .exitOverride()
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.message(text),
      outputError: (text, write) => write(text.replace(/^error: /, "guidestar: ")),
      ...(terminal.columns && { getErrHelpWidth: () => terminal.columns!, getOutHelpWidth: () => terminal.columns! }),
    })
    .addHelpText("before", examples ? `${examples}` : "")
    .showSuggestionAfterError();
}

function add(target: CommanderCommand, command: Command, context: Omit<Context, "given">): void {
  const examples = `Examples:\n${command.examples.map((line) => `  ${line}\n`).join("")}`;
  base(target, context.terminal, examples).description(command.summary);
  if (command.argument) target.argument(`<${command.argument.name}>`, command.argument.help);
  for (const [key, option] of Object.entries(command.options)) {
    const { placeholder, help, parse, fallback, required, otherwise } = option;
    const flag = flagOf(key);
    const shownDefault =
      otherwise ?? (placeholder !== undefined && fallback !== undefined ? String(fallback) : undefined);
    const text = `${help}${required ? " (required)" : shownDefault === undefined ? "" : ` (default: ${shownDefault})`}`;
    if (placeholder === undefined) target.option(flag, text);
    else target.option(`${flag} <${placeholder}>`, text, (value: string) => parse(value, flag));
  }
  target.option("--verbose", "show where errors come from");
  if (command.notes) target.addHelpText("after", `\n${command.notes}`);
  target.action(async (...args: unknown[]) => {
    const given = target.opts<Record<string, unknown>>();
    const values = Object.fromEntries(
      Object.entries(command.options).map(([key, { fallback }]) => [key, given[key] ?? fallback]),
    );
    for (const [key, { required }] of Object.entries(command.options))
      if (required && values[key] === undefined)
        target.error(
          `error: ${flagOf(key)} is missing: ${command.options[key]!.help}; see guidestar ${command.name} --help`,
        );
    await command.run(
      values,
      { ...context, given: new Set(Object.keys(given)) },
      command.argument ? String(args[0]) : "",
    );
  });
}
