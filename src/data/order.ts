import { UsageError } from "../errors.ts";
import { permutation } from "../random.ts";
import type { Split } from "./content.ts";

/** Streams of the seed's random numbers, from which epochs count: far from all that others draw from the same seed. */
const SHUFFLE = 2 ** 40;
const WITHIN_CLASS = 2 ** 42;

/** How a split's images follow each other. */
export interface OrderOptions {
  /** Of the order, a whole number from 0. */
  readonly seed: number;
  /**
   * How far classes are made equally frequent, 0 to 1: a class of n images is shown as often as n^(1 - classBalance) says. 0, the default, is
   * as in the data; 1 shows all classes equally often, so each image of a small one more often.
   */
  readonly classBalance?: number;
}

/** The images of a split that is `count` long, in the order in which an epoch shows them; an epoch may show one twice, or not. */
type Epochs = (epoch: number) => Uint32Array;

/**
 * Which image stands at a position of an endless sequence, 0, 1, ...: a function of the position alone, so that a run resumes anywhere.
 * Epochs, as long as the split, are laid end to end. Each is a permutation of the split; with `classBalance` it is a permutation of the
 * classes at their frequencies, and the images of each class follow each other in permutations of their own.
 *
 * @throws UsageError where `classBalance` is not 0 to 1
 */
export function imageOrder(
  split: Pick<Split, "count" | "labels">,
  { seed, classBalance = 0 }: OrderOptions,
): (position: number) => number {
  if (!(classBalance >= 0 && classBalance <= 1))
    throw new UsageError(`classBalance must be a number from 0 to 1 but is ${classBalance}`);
  const { count } = split;
  const shuffled: Epochs = (epoch) => permutation(seed, SHUFFLE + epoch, count);
  const order = lastOf(classBalance === 0 ? shuffled : balanced(split, shuffled, { seed, classBalance }));
  return (position) => order(Math.floor(position / count))[position % count]!;
}

function balanced(
  { count, labels }: Pick<Split, "count" | "labels">,
  shuffled: Epochs,
  { seed, classBalance }: Required<OrderOptions>,
): Epochs {
  const members = new Map<number, number[]>();
  for (const [i, label] of labels.entries()) {
    const others = members.get(label);
    if (others) others.push(i);
    else members.set(label, [i]);
  }
  const classes = [...members.values()];
  const places = sharedOut(
    count,
    classes.map(({ length }) => length ** (1 - classBalance)),
  );
  const slots = Uint32Array.from(places.flatMap((own, c) => Array<number>(own).fill(c)));
  return (epoch) => {
    /** Of each class, how many of its images were shown before. */
    const shown = places.map((own) => epoch * own);
    const rounds = classes.map((own, c) =>
      lastOf((round) => permutation(seed, WITHIN_CLASS + round * classes.length + c, own.length)),
    );
    return shuffled(epoch).map((slot) => {
      const c = slots[slot]!;
      const own = classes[c]!;
      const turn = shown[c]!++;
      return own[rounds[c]!(Math.floor(turn / own.length))[turn % own.length]!]!;
    });
  };
}

/** A function of a number that keeps its last value, which the next call mostly needs. */
function lastOf<T>(make: (of: number) => T): (of: number) => T {
  let last: { readonly of: number; readonly value: T } | undefined;
  return (of) => {
    if (last?.of !== of) last = { of, value: make(of) };
    return last.value;
  };
}

/** `count` places shared out by weights, rounded so that their sum is `count`. */
function sharedOut(count: number, weights: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  let given = 0;
  return weights.map((weight) => {
    sum += weight;
    const own = Math.round((count * sum) / total) - given;
    given += own;
    return own;
  });
}
