import type { OptionTable, Values } from "./option.ts";

/** The world outside, as a command sees it. */
export interface Terminal {
  /** Data: what a program that reads us wants. */
  out(text: string): void;
  /** Messages: what a person wants. */
  message(text: string): void;
  /** Columns of the terminal that messages go to; undefined where they go to a file or a pipe. */
  readonly columns: number | undefined;
  /** Does that terminal show 24-bit colour? */
  readonly color: boolean;
}

export interface Context {
  readonly terminal: Terminal;
  /** Raised by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Keys of the options that were given, as against defaults. */
  readonly given: ReadonlySet<string>;
  readonly verbose: boolean;
}

/** A command: what it is called, what it takes, and how to run it. Its file loads nothing heavy; `run` imports what it needs. */
export interface Command<O extends OptionTable = OptionTable> {
  /** Words after `guidestar`. */
  readonly name: string;
  /** Name of the one positional argument, if there is one, with what the help says of it. */
  readonly argument?: { readonly name: string; readonly help: string };
  readonly summary: string;
  /** Lines of the help that come first: command lines, each perhaps with a comment after #. */
  readonly examples: readonly string[];
  readonly options: O;
  /** Text after the options in the help. */
  readonly notes?: string;
  readonly run: (values: Values<O>, context: Context, argument: string) => Promise<void>;
}

/** A command with the types of its options checked against `run`. */
export const command = <const O extends OptionTable>(definition: Command<O>): Command =>
  definition as unknown as Command;
