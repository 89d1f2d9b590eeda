import { RuntimeFailure, ShapeError, UsageError } from "../errors.ts";
import { isArray, type NDArray, type Tree } from "../ndarray.ts";
import { emit } from "../onnx/emit.ts";
import { lower } from "../onnx/lower.ts";
import { topological } from "../tensor/gradient.ts";
import { show, type Type } from "../tensor/shape.ts";
import type { AnyTensor } from "../tensor/tensor.ts";
import {
  checkValue,
  flatten,
  type Graph,
  isSpec,
  isTensor,
  mapTree,
  type Spec,
  type ValuesOf,
} from "../tensor/trace.ts";
import type { Backend, LoadedModel, LoadOptions } from "./backend.ts";
import { channelBlockOf, hasVaryingWeights } from "./channel-block.ts";
import { bytesIn, carrying } from "./fixed-values.ts";
import { identityOf } from "./identity.ts";
import { inPlaceStates } from "./in-place.ts";

/** What `compile` fixes, and what it keeps between runs. */
export interface CompileOptions<I extends Tree<Spec>, B extends keyof I, S extends keyof I> {
  /** Values of inputs that never change: they become weights of the program, packed for speed. Those that no output needs are left out. */
  readonly bind?: { readonly [K in B]: ValuesOf<I[K]> };
  /**
   * Initial values of inputs that the program itself updates: after each run, such an input takes the value of the output
   * of the same name. They stay inside the backend between runs.
   */
  readonly state?: { readonly [K in S]: ValuesOf<I[K]> };
  /** Prefix of a JSON profile that ONNX Runtime writes when the program is disposed. */
  readonly profile?: string;
}

/** A graph ready to run. Its `run` takes the inputs that are neither bound nor state, and gives the outputs that are not state. */
export interface Program<I extends Tree<Spec>, O extends Tree<AnyTensor>, S extends Tree<Spec>>
  extends AsyncDisposable {
  /** @throws ShapeError where an input is missing or not of the traced type; RuntimeFailure where the engine fails. */
  run(inputs: ValuesOf<I>): Promise<ValuesOf<O>>;
  /** The current values of the state. */
  readState(): Promise<ValuesOf<S>>;
}

const isName = (value: string | Tree<string>): value is string => typeof value === "string";

/**
 * Turns a graph into a program of a backend.
 *
 * @throws ShapeError where a bound or initial value is not of the traced type; UsageError where a state has no output.
 */
export async function compile<
  const I extends Tree<Spec>,
  const O extends Tree<AnyTensor>,
  B extends keyof I = never,
  S extends keyof I = never,
>(
  graph: Graph<I, O>,
  backend: Backend,
  { bind, state, profile }: CompileOptions<I, B, S> = {},
): Promise<Program<Omit<I, B | S>, Omit<O, S>, Pick<I, S>>> {
  const bound = flatten<NDArray>((bind ?? {}) as Tree<NDArray>, isArray);
  const initial = flatten<NDArray>((state ?? {}) as Tree<NDArray>, isArray);
  checkTypes(graph, bound, initial);
  const face = faceOf(graph, bound, initial, Object.keys(state ?? {}));
  const model = await load(withoutUnused(graph, bound), backend, { bound, initial, ...(profile ? { profile } : {}) });
  return programOf(model, face);
}

/** Throws unless every value has the type of its input, and every state an output of its type. */
function checkTypes(graph: Graph, bound: ReadonlyMap<string, NDArray>, initial: ReadonlyMap<string, NDArray>): void {
  for (const [name, value] of [...bound, ...initial]) {
    const expected = graph.inputs.get(name);
    if (!expected)
      throw new UsageError(
        `compile: "${name}" is not an input of the graph; its inputs are ${list(graph.inputs.keys())}`,
      );
    checkValue(name, expected, value);
  }
  for (const [name, { dtype, shape }] of initial) {
    const next = graph.outputs.get(name);
    if (!next) throw new UsageError(`compile: state "${name}" has no output of that name to take its next value from`);
    if (next.dtype !== dtype || show(next.shape) !== show(shape))
      throw new ShapeError(
        `compile: state "${name}" is ${dtype} ${show(shape)} but its next value is ${next.dtype} ${show(next.shape)}`,
      );
  }
}

/** What a program takes and gives: names and types alone, so that graph, weights and initial state can be freed while it lives. */
interface Face {
  /** Inputs that a run is given. */
  readonly free: readonly (readonly [name: string, type: Type])[];
  readonly results: readonly string[];
  readonly stateNames: readonly string[];
  /** Results and state as trees of their names. */
  readonly resultTree: Tree<string>;
  readonly stateTree: Tree<string>;
}

function faceOf(
  { inputs, outputs, signature }: Graph,
  bound: ReadonlyMap<string, NDArray>,
  initial: ReadonlyMap<string, NDArray>,
  stateKeys: readonly string[],
): Face {
  const pick = <T>(tree: Tree<T>, isState: boolean): Tree<T> =>
    Object.fromEntries(Object.entries(tree).filter(([key]) => stateKeys.includes(key) === isState));
  return {
    free: [...inputs]
      .filter(([name]) => !bound.has(name) && !initial.has(name))
      .map(([name, { dtype, shape }]) => [name, { dtype, shape }]),
    results: [...outputs.keys()].filter((name) => !initial.has(name)),
    stateNames: [...initial.keys()],
    resultTree: mapTree(pick<AnyTensor>(signature.outputs, false), isTensor, (name) => name),
    stateTree: mapTree(pick<Spec>(signature.inputs, true), isSpec, (name) => name),
  };
}

/** A function of its own, for a closure keeps alive what others beside it use. */
function programOf<I extends Tree<Spec>, O extends Tree<AnyTensor>, S extends Tree<Spec>>(
  model: LoadedModel,
  { free, results, stateNames, resultTree, stateTree }: Face,
): Program<I, O, S> {
  const nest = (names: Tree<string>, values: ReadonlyMap<string, NDArray>): never =>
    mapTree(names, isName, (_, name) => values.get(name)!) as never;
  let disposed = false;
  const checkAlive = (): void => {
    if (disposed) throw new RuntimeFailure("this program has been disposed");
  };
  return {
    async run(inputs) {
      checkAlive();
      const given = flatten<NDArray>(inputs as unknown as Tree<NDArray>, isArray);
      for (const [name, expected] of free) checkValue(name, expected, given.get(name));
      const extra = [...given.keys()].find((name) => !free.some(([known]) => known === name));
      if (extra !== undefined)
        throw new UsageError(
          `run: "${extra}" is not an input of this program; it takes ${list(free.map(([name]) => name))}`,
        );
      return nest(resultTree, await model.run(given, results));
    },
    async readState() {
      checkAlive();
      return nest(stateTree, await model.readState(stateNames));
    },
    async [Symbol.asyncDispose]() {
      if (disposed) return;
      disposed = true;
      await model[Symbol.asyncDispose]();
    },
  };
}

interface ToLoad extends Pick<LoadOptions, "profile"> {
  readonly bound: ReadonlyMap<string, NDArray>;
  readonly initial: ReadonlyMap<string, NDArray>;
}

/** A graph without the inputs that are bound and that no output needs: their values are not carried. */
function withoutUnused(graph: Graph, bound: Map<string, NDArray>): Graph {
  const used = new Set(topological([...graph.outputs.values()]));
  const inputs = [...graph.inputs].filter(([name, tensor]) => used.has(tensor) || !bound.delete(name));
  return { ...graph, inputs: new Map(inputs) };
}

/** The program of an earlier start, or a new one, which is kept for the next. */
async function load(graph: Graph, backend: Backend, { bound, initial: state, profile }: ToLoad): Promise<LoadedModel> {
  const slot = backend.programs?.slot(identityOf(graph, bound, state.keys()), bytesIn(bound.values()));
  const kept = await slot?.read();
  const options = { state, ...(profile ? { profile } : {}) };
  if (kept) {
    const { model, inPlace } = kept;
    const loaded = await backend.load(model, { ...options, inPlace, optimized: true }).catch(() => undefined);
    if (loaded) return loaded;
  }
  const channelBlock = hasVaryingWeights(graph, bound) ? await channelBlockOf(backend) : 1;
  const lowered = lower(graph);
  const inPlace = inPlaceStates(lowered, state.keys());
  const model = emit(lowered, { bound, channelBlock, ...carrying([...bound.values()]) });
  const saveTo = await slot?.makeFolder();
  try {
    const loaded = await backend.load(model, { ...options, inPlace, ...(saveTo !== undefined && { saveTo }) });
    if (saveTo !== undefined) await slot!.keep(saveTo, inPlace);
    return loaded;
  } catch (error) {
    if (saveTo !== undefined) await slot!.discard(saveTo);
    throw error;
  }
}

function list(names: Iterable<string>): string {
  const all = [...names];
  return all.length > 8 ? `${all.slice(0, 8).join(", ")}, ... (${all.length})` : all.join(", ");
}
