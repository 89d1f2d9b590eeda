import { UsageError } from "./errors.ts";

/**
 * A setting of a sampler or of a guidance, described as data. Records are checked by it, and options of the command line with their
 * help, axes of sweeps, descriptions and estimates of time are made of it.
 */
export interface Setting<T = unknown> {
  /** What it is, as one line of a help. */
  readonly help: string;
  /** What stands for a value in the help; a toggle has none. */
  readonly placeholder?: string | undefined;
  /** Its values in words, as "a number from 0 to 1". */
  readonly expected: string;
  /** Is this one of its values? */
  accepts(value: unknown): value is T;
  /** The value that a text means, or one that is not accepted. */
  read(text: string): unknown;
  /** The value at which it does nothing. */
  readonly off?: T;
  /** The value where none is given, if that is not `off`. A setting that has neither is then left out. */
  readonly usual?: T;
  /** Said in the help where the value depends on more when none is given. */
  readonly otherwise?: string | undefined;
  /** What the time of a step depends on: not on this setting, on whether it is off, or on its value. */
  readonly cost: "none" | "on" | "value";
  /** Where records of version 1 hold it, as "apg.eta", if not under its own name. */
  readonly formerly?: string | undefined;
}

/** Settings by name. */
export type Settings = Readonly<Record<string, Setting>>;

/** The value of a setting. */
type ValueOf<S> = S extends Setting<infer T> ? T : never;
/** A setting that always has a value. */
type Decided = { readonly off: unknown } | { readonly usual: unknown };

/** Values of settings with every choice made: those that have neither `off` nor `usual` may be missing. */
export type SettingValues<S extends Settings> = {
  readonly [K in keyof S as S[K] extends Decided ? K : never]: ValueOf<S[K]>;
} & { readonly [K in keyof S as S[K] extends Decided ? never : K]?: ValueOf<S[K]> | undefined };

/** Values of settings where any may be left open. */
export type OpenValues<S extends Settings> = { readonly [K in keyof S]?: ValueOf<S[K]> | undefined };

/** What a constructor of settings takes beside the help. */
export type SettingOptions<T> = Pick<Setting<T>, "off" | "usual" | "otherwise" | "formerly" | "cost">;
type Made<T, O> = Setting<T> & Pick<O, Extract<keyof O, "off" | "usual">>;

/** Ends of a range, where it has them: `from` and `to` belong to it, `above` and `below` do not. */
export interface Range {
  readonly from?: number;
  readonly above?: number;
  readonly to?: number;
  readonly below?: number;
}

/** Programs compute with 32 bits, in which larger numbers are infinite. */
const holds = (value: number): boolean => Number.isFinite(Math.fround(value));

function inRange(
  value: number,
  { from = -Infinity, above = -Infinity, to = Infinity, below = Infinity }: Range,
): boolean {
  return holds(value) && value >= from && value <= to && value < below && (above === -Infinity || value > above);
}

function rangeInWords({ from, above, to, below }: Range): string {
  if (from !== undefined && to !== undefined) return ` from ${from} to ${to}`;
  const ends = [
    ...(from === undefined ? [] : [`of at least ${from}`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(to === undefined ? [] : [`${above === undefined ? "of " : ""}at most ${to}`]),
    ...(below === undefined ? [] : [`below ${below}`]),
  ];
  return ends.length > 0 ? ` ${ends.join(" and ")}` : "";
}

const numberIn = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));

/** A finite number. `noun` says what it is where "number" says too little. */
export const number = <const O extends SettingOptions<number> & Range & { readonly noun?: string }>(
  help: string,
  options: O,
): Made<number, O> => ({
  placeholder: "x",
  help,
  expected: `a ${options.noun ?? (rangeInWords(options) ? "number" : "finite number")}${rangeInWords(options)}`,
  accepts: (value): value is number => typeof value === "number" && inRange(value, options),
  read: numberIn,
  ...options,
});

/** A whole number. */
export const whole = <const O extends SettingOptions<number> & Range>(help: string, options: O): Made<number, O> => ({
  placeholder: "n",
  help,
  expected: `a whole number${rangeInWords(options)}`,
  accepts: (value): value is number => Number.isSafeInteger(value) && inRange(value as number, options),
  read: numberIn,
  ...options,
});

/** One of a few words. */
export const choice = <const C extends readonly string[], const O extends SettingOptions<C[number]>>(
  choices: C,
  help: string,
  options: O,
): Made<C[number], O> => ({
  placeholder: choices.join("|"),
  help,
  expected: `one of ${choices.join(", ")}`,
  accepts: (value): value is C[number] => choices.includes(value as string),
  read: (text) => text,
  ...options,
});

/** On or off; off where nothing is said. */
export const toggle = (
  help: string,
  options: Omit<SettingOptions<boolean>, "off" | "usual">,
): Setting<boolean> & { readonly off: boolean } => ({
  help,
  expected: "true or false",
  accepts: (value): value is boolean => typeof value === "boolean",
  read: (text) => ({ yes: true, no: false })[text] ?? text,
  off: false,
  ...options,
});

/** A value of a form of its own. */
export const custom = <T, const O extends SettingOptions<T>>(
  form: Pick<Setting<T>, "help" | "placeholder" | "expected" | "accepts" | "read">,
  options: O,
): Made<T, O> => ({ ...form, ...options });

/** The value where none is given. */
export const usualValue = <T>({ off, usual = off as T }: Setting<T>): T | undefined => usual;

/** Values with the usual ones in place of those that are left open. */
export const withUsual = <S extends Settings>(settings: S, given: OpenValues<S>): SettingValues<S> =>
  definedOf(
    Object.fromEntries(Object.entries(settings).map(([name, setting]) => [name, given[name] ?? usualValue(setting)])),
  ) as SettingValues<S>;

/** The same without what is undefined. */
export const definedOf = <T extends object>(values: T): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;

/** What is wrong with a value, after its name: "must be a number from 0 to 1 but is 2". Undefined where nothing is. */
export const problemOf = (setting: Setting, value: unknown): string | undefined =>
  setting.accepts(value) ? undefined : refusal(setting, value, value);

/** What is wrong with values, those that are undefined aside. Names that no setting has are wrong too. */
export const problemsIn = (
  settings: Settings,
  values: Readonly<Record<string, unknown>>,
): { readonly name: string; readonly problem: string }[] =>
  Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const setting = Object.hasOwn(settings, name) ? settings[name] : undefined;
    const problem = setting ? problemOf(setting, value) : `is no setting; expected ${Object.keys(settings).join(", ")}`;
    return problem === undefined ? [] : [{ name, problem }];
  });

/** What of values the time of a step depends on; equal for values that take equally long. */
export const costOf = (settings: Settings, values: Readonly<Record<string, unknown>>): string =>
  JSON.stringify(
    Object.entries(settings).map(([name, setting]) => {
      if (setting.cost === "none") return null;
      return setting.cost === "value" ? values[name] : values[name] !== usualValue(setting);
    }),
  );

/** Values of a record of version 1 under today's names; what no setting was called then stays. */
export function fromVersion1(
  settings: Settings,
  json: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const rest: Record<string, unknown> = { ...json };
  const found: Record<string, unknown> = {};
  for (const [name, { formerly = name }] of Object.entries(settings)) {
    const [key, inner] = formerly.split(".") as [string, string?];
    const value = json[key];
    found[name] = inner === undefined ? value : (value as Record<string, unknown> | undefined)?.[inner];
    delete rest[key];
  }
  return definedOf({ ...rest, ...found });
}

/** The value of a text. `name` is for errors. Throws UsageError where the text means none. */
export function readSetting<T>(setting: Setting<T>, text: string, name: string): T {
  const value = setting.read(text);
  if (setting.accepts(value)) return value;
  throw new UsageError(`${name} ${refusal(setting, value, text)}`);
}

function refusal({ expected }: Setting, value: unknown, written: unknown): string {
  const large = typeof value === "number" && Number.isFinite(value) && !holds(value);
  return `must be ${expected} but is ${shown(written)}${large ? ", more than the 32 bits of a number hold" : ""}`;
}

/** The text that means a value: `read` of the setting gives it back. */
export const textOf = (value: unknown): string => {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return Array.isArray(value) ? value.join(":") : String(value);
};

/** How texts write a setting's name: maxSteps is "max-steps". */
export const wordOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function shown(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  return typeof value === "number" || value === undefined ? String(value) : JSON.stringify(value);
}
