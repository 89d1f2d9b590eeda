import { UsageError } from "./errors.ts";
import { oneLine } from "./one-line.ts";

/** The classes of a model, by label. */
export interface ClassNames {
  readonly classes: readonly string[];
  /** Names the model in messages. */
  readonly source: string;
}

/**
 * The label of a class name, or of a label given as a number, or in digits where no class has digits as its name. A model without classes is told nothing, for which runs have
 * the number 0. Throws UsageError where the model has no such class.
 */
export function labelOf(name: string | number, { classes, source }: ClassNames): number {
  if (classes.length === 0) {
    if (name === 0) return 0;
    throw new UsageError(`${source} has no classes, so "${name}" cannot be asked for; leave it out`);
  }
  const byName = typeof name === "string" ? placeOf(name, classes) : -1;
  if (byName >= 0) return byName;
  // Of classes with the names 3 and 7, "1" is none: not the second.
  if (typeof name === "string" && classes.some((one) => /^\d+$/.test(one)))
    throw new UsageError(`${source} has no class "${name}"; its classes are ${listed(classes)}`);
  const label = typeof name === "number" ? name : /^\d+$/.test(name) ? Number(name) : Number.NaN;
  if (Number.isInteger(label) && label >= 0 && label < classes.length) return label;
  throw new UsageError(`${source} has no class "${name}"; its classes are ${listed(classes)}`);
}

/** Names with commas between them, of which some may have commas themselves: the longest that is a class counts. */
export function splitNames(names: string, classes: readonly string[]): string[] {
  const known = new Set(classes.map((name) => name.normalize("NFC")));
  const parts = names.normalize("NFC").split(",");
  const found: string[] = [];
  for (let from = 0; from < parts.length; ) {
    let to = parts.length;
    const name = () => parts.slice(from, to).join(",").trim();
    while (to > from + 1 && !known.has(name())) to--;
    if (name() !== "") found.push(name());
    from = to;
  }
  return found;
}

/** Where a name stands, in any Unicode form; -1 where it does not. */
const placeOf = (name: string, classes: readonly string[]): number => {
  const place = classes.indexOf(name);
  return place >= 0 ? place : classes.findIndex((one) => one.normalize("NFC") === name.normalize("NFC"));
};

/** Characters that are shown of a name. */
const longestName = 80;

/** Names in a line, the first twenty. */
export const listed = (names: readonly string[]): string => {
  const first = names.slice(0, 20).map((name) => oneLine(name, longestName));
  return names.length > 20 ? `${first.join(", ")}, ... (${names.length})` : first.join(", ");
};
