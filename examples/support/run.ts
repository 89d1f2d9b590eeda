// Running traced functions of points: a field on a grid, a sampler from noise to points, the training of a small network.
import {
  type Backend,
  type Coefficients,
  coefficientColumns,
  coefficientSpecs,
  compile,
  concat,
  f32,
  float32,
  i32,
  initialize,
  int32,
  linear,
  type Module,
  module,
  type NDArray,
  normals,
  type Predictor,
  type ProcessConfig,
  type Sampler,
  samplingSchedule,
  solverOf,
  type Tensor,
  type TrainingEvent,
  timestepEmbedding,
  trace,
} from "../../src/index.ts";
import { drawPoints, type Mixture, type Point } from "./plane.ts";

export type Weights = Readonly<Record<string, NDArray<"float32">>>;
export type Parameters = Readonly<Record<string, Tensor>>;

/** The noise of most examples. */
export const cosine: ProcessConfig = {
  schedule: "cosine",
  steps: 1000,
  prediction: "eps",
  variance: "fixedSmall",
  rescaleTimesteps: false,
};

/** Points of a square lattice, row by row from the top: `side` in each direction, from -extent to extent. */
export function lattice(side: number, extent: number): Point[] {
  const at = (i: number): number => extent * ((2 * (i + 0.5)) / side - 1);
  return Array.from({ length: side * side }, (_, i): Point => [at(i % side), -at(Math.floor(i / side))]);
}

const specsOf = (weights: Weights) =>
  Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, f32(...shape)]));

/** Values of a traced function at points: of `field(x [N, 2, 1, 1], weights)`, flat. */
export async function valuesAt(
  backend: Backend,
  points: readonly Point[],
  field: (x: Tensor, weights: Parameters) => Tensor,
  weights: Weights = {},
): Promise<Float32Array> {
  const shape = [points.length, 2, 1, 1];
  const graph = trace({ x: f32(...shape), weights: specsOf(weights) }, ({ x, weights }) => ({ y: field(x, weights) }));
  await using program = await compile(graph, backend);
  return (await program.run({ x: float32(shape, points.flat()), weights })).y.data as Float32Array;
}

/** Pairs of numbers as points. */
export const pointsOf = (values: ArrayLike<number>): Point[] =>
  Array.from({ length: values.length / 2 }, (_, i): Point => [values[2 * i]!, values[2 * i + 1]!]);

export interface Walk {
  readonly backend: Backend;
  readonly process: ProcessConfig;
  readonly sampler: Sampler;
  /** Class of each point. */
  readonly labels: readonly number[];
  readonly seed?: number;
  readonly weights?: Weights;
  /** Made where the step is traced. `scale` [1] is what `scaleAt` says of the noise level. */
  readonly predictor: (weights: Parameters, scale: Tensor) => Predictor;
  readonly scaleAt?: (ratio: number) => number;
  /** Deviation of the points at the start; by default that of the most noise. */
  readonly spread?: number;
}

/** Draws points with a sampler: where they are before the first step, and after each. */
export async function walk({
  backend,
  process,
  sampler,
  labels,
  seed = 0,
  weights = {},
  ...rest
}: Walk): Promise<Point[][]> {
  const count = labels.length;
  const chain = samplingSchedule(process, sampler);
  const solver = solverOf(sampler, chain);
  const points = f32(count, 2, 1, 1);
  const named = <T>(names: readonly string[], value: (name: string) => T): Record<string, T> =>
    Object.fromEntries(names.map((name) => [name, value(name)]));
  const specs = {
    x: points,
    noise: points,
    coefficients: coefficientSpecs(count),
    memory: named(solver.memory, () => points),
    numbers: named(solver.numbers, () => f32(count)),
    label: i32(count),
    scale: f32(1),
    weights: specsOf(weights),
  };
  const step = trace(specs, ({ weights, scale, label, coefficients, ...inputs }) => {
    const condition = { label };
    const c = coefficients as Coefficients;
    const { x, memory = {} } = solver.step(rest.predictor(weights, scale), { ...inputs, coefficients: c, condition });
    return { x, memory };
  });
  await using program = await compile(step, backend, { bind: { weights } });

  const array = (data: ArrayLike<number>): NDArray<"float32"> => float32([count, 2, 1, 1], data);
  const { alpha, sigma } = chain.levels.at(-1)!;
  let x = array(normals(seed, 0, 2 * count).map((z) => z * (rest.spread ?? Math.hypot(alpha, sigma))));
  let memory = named(solver.memory, () => array(new Float32Array(2 * count)));
  const path = [pointsOf(x.data)];
  let stream = 0;
  for (const evaluations of solver.plan) {
    for (const { coefficients: row, numbers } of evaluations) {
      stream += 1;
      ({ x, memory } = await program.run({
        x,
        memory,
        noise: array(normals(seed, stream, 2 * count)),
        coefficients: coefficientColumns(new Array(count).fill(row)),
        numbers: named(solver.numbers, (name) => float32([count], new Float32Array(count).fill(numbers[name]!))),
        label: int32([count], labels),
        scale: float32([1], [rest.scaleAt?.(row.sigma / row.alpha) ?? 1]),
      }));
    }
    path.push(pointsOf(x.data));
  }
  return path;
}

/**
 * A small network of points [N, 2, 1, 1] and a number that tells the noise, about -10 ... 10, to `outputs` numbers each. It sees waves of
 * the points, so that it learns fine things soon (Tancik et al. 2020), and hears the noise as scale and shift, as AdaGN does.
 */
export const perceptron = (outputs: number, width = 64) =>
  module(
    {
      time: linear(32, width),
      scales: linear(width, 4 * width),
      first: linear(10, width),
      middle: linear(width, width),
      last: linear(width, outputs),
    },
    (layers, x: Tensor, noise: Tensor) => {
      const told = layers.scales(layers.time(timestepEmbedding(noise, 32)).silu()).split(1, 4) as Four<Tensor>;
      const flat = x.reshape(-1, 2);
      const waves = [2, 5].flatMap((frequency) => [flat.mul(frequency).sin(), flat.mul(frequency).cos()]);
      const h = layers
        .first(concat([flat, ...waves], 1))
        .mul(told[0].add(1))
        .add(told[1])
        .silu();
      return layers.last(layers.middle(h).mul(told[2].add(1)).add(told[3]).silu().add(h));
    },
  );
type Four<T> = [T, T, T, T];

/** Starting weights. */
export const startOf = (network: Pick<Module<never>, "children">): Weights => initialize(network, 0);

/** How the networks of the plane are trained, whatever they learn: on points of a mixture, others at every step. */
export const onPoints = (mixture: Mixture, batchSize: number) =>
  ({
    batchAt: (step: number) => drawPoints(mixture, 1, step, batchSize),
    learningRate: 1e-2,
    decay: "cosine",
    emaRate: 0.98,
    seed: 0,
  }) as const;

/** The averaged weights at the end of a training run. */
export async function finish(training: AsyncIterable<TrainingEvent>): Promise<Weights> {
  for await (const event of training) if (event.kind === "done") return event.averaged;
  throw new Error("the training ended before it was done");
}
