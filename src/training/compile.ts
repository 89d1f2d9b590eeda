import type { Backend } from "../runtime/backend.ts";
import { type CompileOptions, compile } from "../runtime/compile.ts";
import type { Weights } from "./events.ts";
import { keptValues, parameterValues } from "./kernel-order.ts";
import { mapValues, type TrainingGraph } from "./program.ts";

/** What a step of training changes, each by parameter. */
export type TrainingState = Readonly<Record<"params" | "m" | "v" | "ema", Weights>>;

/** A training graph as a program that begins with `state`. State goes in and comes out in the shapes of the network's parameters. */
export async function compileTraining(
  graph: TrainingGraph,
  backend: Backend,
  state: TrainingState,
  options: Pick<CompileOptions<never, never, never>, "profile"> = {},
) {
  const shapes = mapValues(state.params, ({ shape }) => shape);
  // A run begins with zeros in two places, and with the same weights in two: each array is reordered once.
  const reordered = new Map<unknown, ReturnType<typeof keptValues>>();
  const kept = mapState(state, (values) =>
    mapValues(values, (value) => {
      const known = reordered.get(value) ?? keptValues(value);
      reordered.set(value, known);
      return known;
    }),
  );
  const program = await compile(graph, backend, { ...options, state: kept });
  return {
    run: program.run,
    readState: async (): Promise<TrainingState> =>
      mapState(await program.readState(), (values) =>
        mapValues(values, (value, key) => parameterValues(value, shapes[key]!)),
      ),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const mapState = (state: TrainingState, fn: (values: Weights) => Weights): TrainingState =>
  mapValues(state, fn) as Record<keyof TrainingState, Weights>;
