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

/** What a command is called and what it takes: data, so that the help costs no loading. */
export interface Definition<O extends OptionTable = OptionTable> {
  /** Words after `guidestar`. */
  readonly name: string;
  /** The one positional argument, if there is one. */
  readonly argument?: { readonly name: string; readonly help: string; readonly fallback?: string };
  readonly summary: string;
  /** Lines of the help that come first: command lines, each perhaps with a comment after #. */
  readonly examples: readonly string[];
  readonly options: O;
  /** Text after the options in the help. */
  readonly notes?: string;
}

export const define = <const O extends OptionTable>(definition: Definition<O>): Definition<O> => definition;

/** The values of a command's options. */
export type ValuesOf<D> = D extends Definition<infer O> ? Values<O> : never;

/** What a command does. */
export type Action<V> = (values: V, context: Context, argument: string) => Promise<void>;

export interface Command {
  readonly definition: Definition;
  readonly run: Action<Readonly<Record<string, unknown>>>;
}

/** A command whose action is loaded when it is called. */
export const command = <O extends OptionTable>(
  definition: Definition<O>,
  load: () => Promise<Action<Values<O>>>,
): Command => ({
  definition,
  // The option table makes values of these types.
  run: async (values, context, argument) => (await load())(values as Values<O>, context, argument),
});
