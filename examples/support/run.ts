// Running traced functions of points: values on a grid, drawings, the training of a small network.
import { ddpmProcess, type SampleEvent } from "guidestar/diffusion";
import { linear, module, timestepEmbedding } from "guidestar/nn";
import {
  type Backend,
  compile,
  concat,
  f32,
  float32,
  type NDArray,
  normals,
  specsOf,
  type Tensor,
  trace,
} from "guidestar/tensor";
import { drawPoints, type Mixture, type Point } from "./plane.ts";

export type Weights = Readonly<Record<string, NDArray<"float32">>>;
export type Parameters = Readonly<Record<string, Tensor>>;

/** The noise of most examples. */
export const cosine = ddpmProcess({ schedule: "cosine", variance: "fixed-small" });

/** Points of a square lattice, row by row from the top: `side` in each direction, from -extent to extent. */
export function lattice(side: number, extent: number): Point[] {
  const at = (i: number): number => extent * ((2 * (i + 0.5)) / side - 1);
  return Array.from({ length: side * side }, (_, i): Point => [at(i % side), -at(Math.floor(i / side))]);
}

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

/** What all drawings of points share. */
export const ofPoints = { shape: [2, 1, 1], batchSize: 1000 };

/** Noise to start from, where the first places are shown too: [count, 2, 1, 1] of a standard deviation. */
export const noisePoints = (count: number, std: number): NDArray<"float32"> =>
  float32(
    [count, 2, 1, 1],
    normals(0, 0, 2 * count).map((z) => std * z),
  );

/** The way of each point through a drawing, from its start. */
export async function pathsOf(start: NDArray<"float32">, drawing: AsyncIterable<SampleEvent>): Promise<Point[][]> {
  const places = [pointsOf(start.data)];
  for await (const { x } of drawing) places.push(pointsOf(x.data));
  return places[0]!.map((_, i) => places.map((points) => points[i]!));
}

/** Where paths end. */
export const endsOf = (paths: readonly (readonly Point[])[]): Point[] => paths.map((path) => path.at(-1)!);

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

/** How the networks of the plane are trained, whatever they learn: on points of a mixture, others at every step. */
export const onPoints = (mixture: Mixture, batchSize: number) =>
  ({
    batchAt: (step: number) => drawPoints(mixture, 1, step, batchSize),
    learningRate: 1e-2,
    decay: "cosine",
    emaRate: 0.98,
    seed: 0,
  }) as const;
