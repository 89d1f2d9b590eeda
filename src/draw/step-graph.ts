import { coefficientSpecs } from "../diffusion/noise-schedule.ts";
import type { Predictor } from "../guidance/predictor.ts";
import type { NDArray, Shape, Tree } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import { compile } from "../runtime/compile.ts";
import type { Solver } from "../samplers/solver.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { f32, i32, type Spec, type SpecsOf, specsOf, type TensorsOf, trace } from "../tensor/trace.ts";

/** What a predictor may use beside its weights: values that change from evaluation to evaluation. */
export interface Varying<S extends string = string, M extends string = string> {
  /** The numbers of `DrawOptions.scales` at this evaluation, each [1]. */
  readonly scales: Readonly<Record<S, Tensor>>;
  /**
   * What the predictor remembers, by the names of `DrawOptions.memory`, each [N, C, H, W]: zeros at the first evaluation. A predictor
   * that assigns a tensor here finds it at the next evaluation.
   */
  readonly memory: Record<M, Tensor>;
}

/**
 * Makes a predictor from weights. `draw` calls it once, when it traces the step. Networks, closed forms and guidance around either
 * all enter a drawing this way.
 */
export type MakePredictor<W = never, S extends string = never, M extends string = never> = (
  weights: TensorsOf<SpecsOf<W>>,
  varying: Varying<S, M>,
) => Predictor;

/** What `stepGraph` traces. */
export interface StepOptions {
  readonly predictor: MakePredictor<never, string, string>;
  /** Arrays that the predictor is made from. */
  readonly weights: Tree<NDArray>;
  readonly solver: Pick<Solver, "step" | "memory" | "numbers">;
  /** Shape of one image, [C, H, W]. */
  readonly shape: Shape;
  /** Images at a time, N. */
  readonly batchSize: number;
  /** Names of the scales. */
  readonly scales?: readonly string[];
  /** Names of what the predictor remembers. */
  readonly memory?: readonly string[];
  /** Is the predictor told a label of each image? */
  readonly labelled?: boolean;
  /** Shape of one small image, [C, h, w], for a predictor that enlarges them. */
  readonly lowResShape?: Shape | undefined;
}

/**
 * One evaluation of a solver for all images of a batch as a graph: x_t [N, C, H, W], noise, coefficients, the solver's memory and
 * numbers, the predictor's scales and memory, labels, small images and weights to the next x, the expected image x0 and what solver
 * and predictor remember next.
 */
export function stepGraph({ predictor: make, solver, shape, batchSize, ...rest }: StepOptions) {
  const { weights, scales = [], memory = [], labelled = false, lowResShape } = rest;
  const images = f32(batchSize, ...shape);
  const each = (names: readonly string[], spec: Spec<"float32">): Record<string, Spec<"float32">> =>
    Object.fromEntries(names.map((name) => [name, spec]));
  const specs = {
    x: images,
    noise: images,
    coefficients: coefficientSpecs(batchSize),
    memory: each(solver.memory, images),
    numbers: each(solver.numbers, f32(batchSize)),
    scales: each(scales, f32(1)),
    remembered: each(memory, images),
    ...(labelled && { label: i32(batchSize) }),
    ...(lowResShape && { lowRes: f32(batchSize, ...lowResShape) }),
    weights: specsOf(weights),
  };
  return trace(specs, ({ weights, scales, remembered, label, lowRes, ...inputs }) => {
    const next = { ...remembered };
    const predictor = make(weights as never, { scales, memory: next });
    const condition = { ...(label && { label }), ...(lowRes && { lowRes }) };
    const { x, x0, memory = {} } = solver.step(predictor, { ...inputs, condition });
    return { x, x0, memory, remembered: next };
  });
}

type StepGraph = ReturnType<typeof stepGraph>;
const compileStep = (graph: StepGraph, backend: Backend, weights: Tree<NDArray>) =>
  compile(graph, backend, { bind: { weights } });
export type StepProgram = Awaited<ReturnType<typeof compileStep>>;

/** The programs of several graphs, which are disposed together. */
export async function compileSteps(graphs: readonly StepGraph[], weights: Tree<NDArray>, backend: Backend) {
  const all: StepProgram[] = [];
  const dispose = async (): Promise<void> => {
    for (const program of all) await program[Symbol.asyncDispose]();
  };
  try {
    for (const graph of graphs) all.push(await compileStep(graph, backend, weights));
  } catch (error) {
    await dispose();
    throw error;
  }
  return { all, [Symbol.asyncDispose]: dispose };
}
