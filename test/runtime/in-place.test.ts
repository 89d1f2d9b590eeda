import { expect, test } from "vitest";
import { inPlaceStates } from "../../src/runtime/in-place.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { f32, trace } from "../../src/tensor/trace.ts";

type Step = (state: { a: Tensor; b: Tensor; x: Tensor }) => { a: Tensor; b: Tensor; y?: Tensor };

const inPlace = (step: Step): string =>
  [
    ...inPlaceStates(
      trace({ a: f32(2, 2), b: f32(2, 2), x: f32(2, 2) }, step as (s: object) => Record<string, Tensor>),
      ["a", "b"],
    ),
  ].join();

test.each<[string, string, Step]>([
  ["each from itself, element by element", "a,b", ({ a, b, x }) => ({ a: a.add(x), b: b.mul(2).sub(x) })],
  ["a new value that never reads the old one", "a,b", ({ x }) => ({ a: x.mul(2), b: x.mul(3) })],
  ["one from the other's new value", "a,b", ({ a, b, x }) => ({ a: a.add(x), b: b.add(a.add(x).sub(b)) })],
  ["one from the other's old value, in either order", "b", ({ a, b, x }) => ({ a: a.add(x), b: b.add(a.mul(2)) })],
  ["each from both", "", ({ a, b }) => ({ a: a.add(b), b: b.sub(a) })],
  [
    "both after everything that reads them",
    "a,b",
    ({ a, b, x }) => {
      const all = a.exp().sum().add(b.exp().sum());
      return { a: a.add(x.mul(all)), b: b.add(x.mul(all)) };
    },
  ],
  ["a result that reads the old value", "b", ({ a, b, x }) => ({ a: a.add(x), b: b.add(x), y: a.exp() })],
  [
    "a view of the old value, read late",
    "b",
    ({ a, b, x }) => ({ a: a.add(a.reshape(4).sum()), b: b.add(x), y: a.reshape(4).exp() }),
  ],
  ["not element by element", "b", ({ a, b, x }) => ({ a: a.matmul(x), b: b.add(x) })],
  ["an exchange", "", ({ a, b }) => ({ a: b, b: a })],
  ["unchanged", "b", ({ a, b, x }) => ({ a, b: b.add(x) })],
])("%s: %s", (_, expected, step) => expect(inPlace(step)).toBe(expected));
