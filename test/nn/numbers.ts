import { type Shape, sizeOf } from "../../src/ndarray.ts";
import { type Module, type Network, parametersOf } from "../../src/nn/module.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { f32, input } from "../../src/tensor/trace.ts";
import { evaluate } from "../support/interpreter.ts";

export interface Numbers {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** Numbers of no particular pattern, between -1 and 1; another `phase` gives others. */
export const numbers = (shape: Shape, phase = 0): Numbers => ({
  shape,
  data: Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(12.9898 * (i + 1) + phase)),
});

/** Unpatterned values for every parameter of a network. */
export const someParameters = (network: Network): Record<string, Numbers> =>
  Object.fromEntries(Object.entries(parametersOf(network)).map(([key, { shape }], i) => [key, numbers(shape, i + 1)]));

/** The tensors of a record of values, by the same names. */
export const leaves = (values: Record<string, Numbers>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, input(name, f32(...value.shape))]));

/** What a function of tensors computes, in float64. */
export function compute(inputs: readonly Numbers[], fn: (...tensors: Tensor[]) => Tensor): Numbers {
  const named = Object.fromEntries(inputs.map((value, i) => [`input${i}`, value]));
  return evaluate({ result: fn(...Object.values(leaves(named))) }, named).result;
}

/** What a module computes from values of its parameters and its inputs, in float64. */
export function applied(
  network: Module<Tensor[]>,
  parameters: Record<string, Numbers>,
  inputs: readonly Numbers[],
): Numbers {
  return compute([...Object.values(parameters), ...inputs], (...tensors) => {
    const keys = Object.keys(parameters);
    const bound = Object.fromEntries(keys.map((key, i) => [key, tensors[i]!]));
    return network(bound, ...tensors.slice(keys.length));
  });
}
