import {
  choice as choiceSetting,
  number,
  readSetting,
  type Setting,
  usualValue,
  whole as wholeSetting,
  wordOf,
} from "../../setting.ts";

/** One option of a command. The key under which a table holds it gives the flag: `checkpointEvery` is `--checkpoint-every`. */
export interface Option<T> {
  /** What stands for the value in the help; a switch has none. */
  readonly placeholder?: string;
  /** The text that the flag alone stands for, where it may come without a value. */
  readonly bare?: string;
  readonly help: string;
  /** Throws UsageError where the text is not a value. `flag` is for that error. */
  readonly parse: (text: string, flag: string) => T;
  readonly fallback?: T;
  /** A value that the user must give. */
  readonly required?: boolean;
  /** Said in the help in place of the fallback. */
  readonly otherwise?: string;
  /** May a switch be turned off too, by --no-FLAG? It is for what a model turns on. */
  readonly negatable?: boolean;
  /** Earlier names, as `clip-gradient`: accepted, but not in the help. */
  readonly aliases?: readonly string[];
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** The values of a table of options. */
export type Values<O extends OptionTable> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

/** The flag of a key: checkpointEvery -> --checkpoint-every. */
export const flagOf = (key: string): string => `--${wordOf(key)}`;

/** A value with a default, one that must be given, or one that may be left out. */
type Kind<T, S> = S extends { fallback: T } | { required: true } ? Option<T> : Option<T | undefined>;
interface Settings<T> {
  fallback?: T;
  required?: true;
  otherwise?: string;
  aliases?: readonly string[];
}

const option = <T, S extends Settings<T>>(
  placeholder: string,
  help: string,
  settings: S | undefined,
  parse: Option<T>["parse"],
): Kind<T, S> => ({ placeholder, help, parse, ...settings }) as Kind<T, S>;

/** Off unless given. */
export const toggle = (help: string, { aliases }: Pick<Option<boolean>, "aliases"> = {}): Option<boolean> => ({
  help,
  parse: () => true,
  fallback: false,
  ...(aliases && { aliases }),
});

/** A switch that --no-FLAG turns off, where something else may have turned it on. */
export const negatable = (option: Option<boolean>): Option<boolean> => ({ ...option, negatable: true });

export const text = <const S extends Settings<string>>(
  placeholder: string,
  help: string,
  settings?: S,
): Kind<string, S> => option(placeholder, help, settings, (value) => value);

/** The option of a setting: its texts mean what the setting reads in them. */
export const ofSetting = <T, const S extends Settings<T>>(setting: Setting<T>, settings?: S): Kind<T, S> => {
  const { placeholder, help, otherwise = usualInWords(setting) } = setting;
  if (placeholder === undefined)
    return { help, parse: () => true, negatable: true, ...settings } as unknown as Kind<T, S>;
  // The help's column of options is as wide as the longest: many choices stand beside it.
  const wide = placeholder.length > 24;
  const shown = wide ? `${help}: ${placeholder.replaceAll("|", ", ")}` : help;
  const parse = (value: string, flag: string): T => readSetting(setting, value, flag);
  return { placeholder: wide ? "name" : placeholder, help: shown, parse, otherwise, ...settings } as Kind<T, S>;
};

const usualInWords = (setting: Setting): string | undefined => {
  const usual = usualValue(setting);
  return usual === undefined ? undefined : String(usual);
};

export const choice = <const C extends readonly string[], const S extends Settings<C[number]>>(
  choices: C,
  help: string,
  settings?: S,
): Kind<C[number], S> => ofSetting<C[number], S>(choiceSetting(choices, help, { cost: "none" }), settings);

/** The option, where some of its values had earlier names: those are accepted, but not in the help. */
export const withEarlier = <T>(option: Option<T>, earlier: Readonly<Record<string, string>>): Option<T> => ({
  ...option,
  parse: (text, flag) => option.parse(earlier[text] ?? text, flag),
});

export interface Range {
  readonly least?: number;
  readonly most?: number;
}
const rangeOf = ({ least, most }: Range) => ({
  ...(least !== undefined && { from: least }),
  ...(most !== undefined && { to: most }),
  cost: "none" as const,
});

/** A whole number, by default of at least 1. */
export const whole = <const S extends Settings<number> & Range>(help: string, settings?: S): Kind<number, S> =>
  ofSetting<number, S>(wholeSetting(help, rangeOf({ least: 1, ...settings })), settings);

export const real = <const S extends Settings<number> & Range>(help: string, settings?: S): Kind<number, S> =>
  ofSetting<number, S>(number(help, rangeOf(settings ?? {})), settings);

/** A value with a form of its own. */
export const custom = <T, const S extends Settings<T>>(
  placeholder: string,
  help: string,
  parse: Option<T>["parse"],
  settings?: S,
): Kind<T, S> => option(placeholder, help, settings, parse);
