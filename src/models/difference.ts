import { show } from "../tensor/shape.ts";
import type { Shapes } from "./family.ts";

/**
 * Shapes as a network has them, where kernels of 1x1 are stored with fewer or more axes: [O, I], [O, I, 1] and [O, I, 1, 1] are the same numbers
 * in the same order.
 */
export const asExpected = (found: Shapes, expected: Shapes): Shapes =>
  Object.fromEntries(
    Object.entries(found).map(([name, shape]) => {
      const wanted = Object.hasOwn(expected, name) ? expected[name]! : shape;
      return [name, show(withoutOnes(shape)) === show(withoutOnes(wanted)) ? wanted : shape];
    }),
  );

/** A kernel's shape without the axes of one element after the first two. */
const withoutOnes = (shape: readonly number[]): readonly number[] =>
  shape.slice(0, Math.max(2, shape.findLastIndex((size) => size !== 1) + 1));

/** The first tensor that differs from what a network has, as a sentence; undefined where none does. */
export function difference(found: Shapes, expected: Shapes): string | undefined {
  for (const [name, shape] of Object.entries(expected)) {
    const actual = Object.hasOwn(found, name) ? found[name] : undefined;
    if (!actual) return `tensor "${name}" is missing; expected shape ${show(shape)}`;
    if (show(actual) !== show(shape))
      return `tensor "${name}": expected shape ${show(shape)} but found ${show(actual)}`;
  }
  const extra = Object.keys(found).find((name) => !Object.hasOwn(expected, name));
  return extra && `tensor "${extra}" of shape ${show(found[extra]!)} belongs to no part of the network`;
}
