import { type Coefficients, coefficientNames, coefficientSpecs } from "../../src/diffusion/noise-schedule.ts";
import type { Predictor } from "../../src/guidance/predictor.ts";
import { float32, int32, sizeOf, type Tree } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import type { Solver } from "../../src/samplers/solver.ts";
import { f32, flatten, i32, mapTree, trace } from "../../src/tensor/trace.ts";
import { evaluate, type Given } from "./interpreter.ts";

export interface FollowOptions {
  /** Class asked for; 0 by default. */
  readonly label?: number;
  /** Seed of the noise. */
  readonly seed?: number;
  /** Computes in float32 there; without it, in float64 by the interpreter. */
  readonly backend?: Backend | undefined;
}

/** A whole sampling by a solver's traced step, from x [N, C, H, W] at the top of its chain to the pictures. */
export async function follow(
  solver: Solver,
  x: Given,
  predictor: (c: Coefficients) => Predictor,
  { label = 0, seed = 5, backend }: FollowOptions = {},
): Promise<ArrayLike<number>> {
  const [count] = x.shape as [number];
  const size = sizeOf(x.shape);
  const run = await runner(solver, x.shape, predictor, backend);
  const full = (value: number): Given => ({ shape: [count], data: new Array<number>(count).fill(value) });
  const each = (names: readonly string[], value: (name: string) => Given): Record<string, Given> =>
    Object.fromEntries(names.map((name) => [name, value(name)]));
  let now: Sampled = { x, memory: each(solver.memory, () => ({ shape: x.shape, data: new Float64Array(size) })) };
  for (const [index, evaluations] of solver.plan.entries())
    for (const { coefficients, numbers } of evaluations)
      now = await run({
        ...now,
        noise: { shape: x.shape, data: normals(seed, index, size) },
        coefficients: each(coefficientNames, (name) => full(coefficients[name as keyof typeof coefficients])),
        numbers: each(solver.numbers, (name) => full(numbers[name]!)),
        label: full(label),
      });
  return now.x.data;
}

interface Sampled {
  readonly x: Given;
  readonly memory: Readonly<Record<string, Given>>;
}
type Run = (inputs: Readonly<Record<string, Given | Readonly<Record<string, Given>>>>) => Promise<Sampled>;

const isGiven = (value: Given | Tree<Given>): value is Given => "data" in value;

/** One evaluation of the solver as a function of its inputs. */
async function runner(
  { step, memory, numbers }: Solver,
  shape: Given["shape"],
  predictor: (c: Coefficients) => Predictor,
  backend: Backend | undefined,
): Promise<Run> {
  const [count] = shape as [number];
  const image = f32(...shape);
  const specs = {
    x: image,
    noise: image,
    coefficients: coefficientSpecs(count),
    memory: Object.fromEntries(memory.map((name) => [name, image])),
    numbers: Object.fromEntries(numbers.map((name) => [name, f32(count)])),
    label: i32(count),
  };
  const graph = trace(specs, ({ x, noise, coefficients, memory, numbers, label }) => {
    const result = step(predictor(coefficients), { x, noise, coefficients, memory, numbers, condition: { label } });
    return { x: result.x, memory: result.memory ?? {} };
  });
  if (!backend)
    return async (inputs) => {
      const outputs = evaluate(Object.fromEntries(graph.outputs), Object.fromEntries(flatten<Given>(inputs, isGiven)));
      const kept = memory.map((name) => [name, outputs[`memory/${name}`]!] as const);
      return { x: outputs.x!, memory: Object.fromEntries(kept) };
    };
  const program = await compile(graph, backend);
  return (inputs) =>
    program.run(
      mapTree<Given, unknown>(inputs, isGiven, (name, { shape, data }) =>
        name === "label" ? int32(shape, data) : float32(shape, data),
      ) as Parameters<typeof program.run>[0],
    );
}
