import type { Op } from "../tensor/ops.ts";
import { show } from "../tensor/shape.ts";
import type { AnyTensor } from "../tensor/tensor.ts";
import type { Graph } from "../tensor/trace.ts";

/** Operators whose result may share memory with their input. */
const views: ReadonlySet<Op> = new Set<Op>(["reshape", "permute", "slice", "expand", "stopGradient", "cast"]);
/** Operators that read an element just before they write the one in its place. */
const elementwise: ReadonlySet<Op> = new Set<Op>(["add", "sub", "mul", "div"]);

/**
 * The states whose next value may be written over the present one: those whose every reader must have run before the next value is
 * computed, because that is computed from what they give. The order in which independent operators run does not matter then.
 *
 * @param states inputs that take the value of the output of the same name
 */
export function inPlaceStates({ inputs, outputs, nodes }: Graph, states: Iterable<string>): ReadonlySet<string> {
  const readers = new Map<AnyTensor, AnyTensor[]>();
  // Everything that a tensor is computed from, a bit for each node.
  const sources = new Map<AnyTensor, bigint>();
  const bits = new Map(nodes.map((tensor, i) => [tensor, 1n << BigInt(i)]));
  for (const tensor of nodes) {
    let all = 0n;
    for (const input of new Set(tensor.node.inputs)) {
      all |= sources.get(input)! | bits.get(input)!;
      const known = readers.get(input);
      if (known) known.push(tensor);
      else readers.set(input, [tensor]);
    }
    sources.set(tensor, all);
  }
  const readersOf = (memory: AnyTensor): AnyTensor[] =>
    (readers.get(memory) ?? []).flatMap((reader) =>
      views.has(reader.node.op) ? [reader, ...readersOf(reader)] : [reader],
    );
  const given = new Set(outputs.values());
  return new Set(
    [...states].filter((name) => {
      const state = inputs.get(name)!;
      if (given.has(state)) return false; // copied at a time that nothing orders
      const next = outputs.get(name)!;
      const overwrites =
        elementwise.has(next.node.op) && next.node.inputs.every(({ shape }) => show(shape) === show(next.shape));
      return readersOf(state).every((reader) =>
        reader === next ? overwrites : (sources.get(next)! & bits.get(reader)!) !== 0n,
      );
    }),
  );
}
