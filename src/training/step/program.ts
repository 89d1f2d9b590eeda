import type { NDArray, Shape, Tree } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { compile } from "../../runtime/compile.ts";
import type { Averages, Checkpoint } from "../checkpoint.ts";
import type { TrainingGraph } from "./graph.ts";
import { keptValues, parameterValues } from "./kernel-order.ts";
import type { updateValues } from "./update.ts";
import { mapValues, shapesOf, type Weights } from "./values.ts";

/** What a step of training changes, each by parameter; `averages` where the graph keeps them (`powerEma`). */
export type TrainingState = Pick<Checkpoint, "params" | "m" | "v" | "ema" | "averages">;

/** A step of training that can be run, with the state that it changes. */
export interface TrainingProgram extends AsyncDisposable {
  /** Values of the graph's `batch`, and `updateValues`; see `trainingGraph` for what comes out. */
  run(inputs: { readonly batch: Tree<NDArray>; readonly update: ReturnType<typeof updateValues> }): Promise<{
    readonly objective: NDArray<"float32">;
    readonly metrics: Weights;
    readonly gradientNorm: NDArray<"float32">;
  }>;
  readState(): Promise<TrainingState>;
}

/** A training graph as a program that begins with `state`. State goes in and comes out in the shapes of the network's parameters. */
export async function compileTraining(
  graph: TrainingGraph,
  backend: Backend,
  state: TrainingState,
  options: { readonly profile?: string } = {},
): Promise<TrainingProgram> {
  const program = await compile(graph, backend, { ...options, state: keptState(state) });
  return withShapes(program, shapesOf(state.params), state.averages !== undefined);
}

/** The state as the graph keeps it. */
function keptState(state: TrainingState) {
  // A run begins with zeros in two places, and with the same weights in two: each array is reordered once.
  const reordered = new Map<unknown, ReturnType<typeof keptValues>>();
  const kept = mapState(state, (values) =>
    mapValues(values, (value) => {
      const known = reordered.get(value) ?? keptValues(value);
      reordered.set(value, known);
      return known;
    }),
  );
  return { ...kept, averages: { ...kept.averages } };
}

type Compiled = Awaited<ReturnType<typeof compileState>>;
const compileState = (graph: TrainingGraph, backend: Backend, state: ReturnType<typeof keptState>) =>
  compile(graph, backend, { state });

/** A function of its own: what stands beside a closure lives as long as the closure, and the first state must not. */
const withShapes = (
  program: Compiled,
  shapes: Readonly<Record<string, Shape>>,
  hasAverages: boolean,
): TrainingProgram => ({
  run: program.run,
  async readState(): Promise<TrainingState> {
    const { averages, ...now } = await program.readState();
    return mapState({ ...now, ...(hasAverages && { averages: averages as Averages }) }, (values) =>
      mapValues(values, (value, key) => parameterValues(value, shapes[key]!)),
    );
  },
  [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
});

const mapState = ({ params, m, v, ema, averages }: TrainingState, fn: (values: Weights) => Weights): TrainingState => ({
  params: fn(params),
  m: fn(m),
  v: fn(v),
  ema: fn(ema),
  ...(averages && { averages: { short: fn(averages.short), long: fn(averages.long) } }),
});
