import { fingerprintOf, type NDArray } from "../ndarray.ts";
import type { AnyTensor } from "../tensor/tensor.ts";
import type { Graph } from "../tensor/trace.ts";

/**
 * Everything that the program of a graph depends on, as parts to be hashed: operators, fixed values and the names of its state. Two
 * graphs with the same parts are the same program.
 */
export function* identityOf(
  { nodes, outputs }: Graph,
  bound: ReadonlyMap<string, NDArray>,
  states: Iterable<string>,
): Generator<string | Uint8Array> {
  const numbers = new Map<AnyTensor, number>();
  for (const tensor of nodes) {
    numbers.set(tensor, numbers.size);
    const { op, inputs, attributes } = tensor.node;
    if (op === "constant") yield* parts(op, attributes.value);
    else yield `${op} ${inputs.map((input) => numbers.get(input))} ${JSON.stringify(attributes)}\n`;
  }
  yield JSON.stringify([[...outputs].map(([name, tensor]) => [name, numbers.get(tensor)]), [...states]]);
  for (const [name, value] of bound) yield* parts(name, value);
}

function* parts(name: string, value: NDArray): Generator<string | Uint8Array> {
  const { dtype, shape } = value;
  const fingerprint = fingerprintOf(value);
  yield `${JSON.stringify(name)} ${dtype} ${shape} ${fingerprint ?? ""}\n`;
  if (fingerprint !== undefined) return;
  const { data } = value;
  yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
