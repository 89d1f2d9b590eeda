import { ModelError } from "../errors.ts";
import type { LazyTensor } from "../formats/lazy-tensor.ts";
import type { StateDict } from "../formats/state-dicts.ts";
import type { Shapes } from "../models/family.ts";

/** A network's tensors among those of a file. */
export interface FoundNetwork {
  /** What `entry` takes: the keys that lead to its dictionary, and the prefix of its names, with dots between; empty where there is neither. */
  readonly name: string;
  /** The tensors, by their names without the prefix. */
  readonly tensors: Readonly<Record<string, LazyTensor>>;
  /** What stood before all of its names: "model.diffusion_model."; empty where nothing did. */
  readonly prefix: string;
  /** Names of its dictionary that don't have the prefix. */
  readonly leftOut: readonly string[];
  /** Weights of it that cannot be read, and their classes. */
  readonly unread: Readonly<Record<string, string>>;
}

/** Deeper names, and prefixes of fewer tensors, are parts of networks. */
const DEEPEST = 6;
const FEWEST = 8;

/**
 * The networks in a file: in each of its dictionaries, under each prefix of names that ends in a dot, the tensors that `isNetwork` knows. Within
 * one that is found none is looked for. The averages of weights, by their names, come first: they are what one samples from.
 */
export function findNetworks(dicts: readonly StateDict[], isNetwork: (shapes: Shapes) => boolean): FoundNetwork[] {
  const found = dicts.flatMap((dict) => {
    const prefixes: string[] = [];
    for (const [prefix, count] of prefixCounts(Object.keys(dict.tensors)))
      if (count >= FEWEST && !prefixes.some((known) => prefix.startsWith(known)))
        if (isNetwork(shapesOf(below(dict.tensors, prefix)))) prefixes.push(prefix);
    return prefixes.map((prefix) => networkBelow(dict, prefix));
  });
  return found.toSorted((a, b) => averageWords(b.name) - averageWords(a.name));
}

/**
 * A dictionary whose averages have the names of what they are averages of. Latent diffusion and its like keep the average of "model.NAME" as
 * "model_ema.NAME" with the dots of NAME left out.
 */
export function withDottedAverages(dict: StateDict): StateDict {
  const dotted = new Map<string, string>(
    Object.keys(dict.tensors).flatMap((name) => {
      const rest = /^model\.(.+)$/.exec(name)?.[1];
      return rest?.includes(".") ? [[`model_ema.${rest.replaceAll(".", "")}`, `model_ema.${rest}`] as const] : [];
    }),
  );
  const named = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [dotted.get(name) ?? name, value]));
  return { ...dict, tensors: named(dict.tensors), unread: named(dict.unread) };
}

/** The tensors of a dictionary below a prefix. */
function networkBelow({ path, tensors, unread }: StateDict, prefix: string): FoundNetwork {
  return {
    name: [path, prefix.slice(0, -1)].filter(Boolean).join("."),
    tensors: below(tensors, prefix),
    prefix,
    leftOut: Object.keys(tensors).filter((name) => !name.startsWith(prefix)),
    unread: below(unread, prefix),
  };
}

/**
 * The dictionary that is meant where no network was recognised, without what all its names begin with: `difference` then says what is wrong with
 * it. Throws ModelError where there are several.
 */
export function onlyNetwork(dicts: readonly StateDict[], file: string): FoundNetwork {
  const [dict] = dicts;
  if (dicts.length !== 1 || !dict)
    throw new ModelError(
      `${file}: holds several state dicts: ${dicts.map(({ path }) => path || "the file itself").join(", ")}; say which one is meant ` +
        "(--entry NAME)",
    );
  const count = Object.keys(dict.tensors).length;
  const common = prefixCounts(Object.keys(dict.tensors)).findLast(
    ([prefix, members]) => members === count && /^((module|_orig_mod)\.)*$/.test(prefix),
  );
  return networkBelow(dict, common?.[0] ?? "");
}

/** Those of an entry: by its whole name, or by how that begins. */
export const ofEntry = <T>(all: readonly T[], nameOf: (each: T) => string, entry: string): T[] => {
  const wanted = entry.replace(/\.$/, "");
  const exact = all.filter((each) => nameOf(each) === wanted);
  return exact.length > 0 ? exact : all.filter((each) => nameOf(each).startsWith(`${wanted}.`));
};

/** Words for an average of the weights in a name: "ema", "model_ema", "ema_model" ... */
const averageWords = (name: string): number =>
  name.split(".").filter((part) => /(^|[_-])ema([_\-\d]|$)/i.test(part)).length;

/** Prefixes that end in a dot, and how many names each has, the shortest first; the empty one is the first. */
function prefixCounts(names: readonly string[]): [prefix: string, count: number][] {
  const counts = new Map<string, number>([["", names.length]]);
  for (const name of names)
    for (let depth = 0, at = name.indexOf("."); at >= 0 && depth < DEEPEST; at = name.indexOf(".", at + 1), depth++) {
      const prefix = name.slice(0, at + 1);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  return [...counts].sort(([a], [b]) => a.length - b.length);
}

const below = <T>(record: Readonly<Record<string, T>>, prefix: string): Record<string, T> =>
  Object.fromEntries(
    Object.entries(record).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
    ),
  );

/** Shape of every tensor. */
export const shapesOf = (tensors: Readonly<Record<string, { readonly shape: readonly number[] }>>): Shapes =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));
