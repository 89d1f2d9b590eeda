import { show } from "../tensor/shape.ts";
import type { Shapes } from "./family.ts";

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
