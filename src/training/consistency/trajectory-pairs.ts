import type { Trajectories } from "../../diffusion/consistency.ts";
import { coefficientsAt } from "../../diffusion/level-sampler.ts";
import { noiseRange, noiseRatio } from "../../diffusion/noise-level.ts";
import type { ProcessConfig } from "../../diffusion/noise-schedule.ts";
import { float32, int32, sizeOf } from "../../ndarray.ts";
import { drawPlaces } from "../draws.ts";
import type { ConsistencyBatch } from "../tasks/consistency.ts";

/** Where `trajectoryPairs` takes its trajectories. */
export interface TrajectorySource {
  /** How many there are in a block. */
  readonly size: number;
  /** The trajectories of block 0, 1, 2, ...; the same whenever asked. */
  readonly block: (index: number) => Promise<Trajectories>;
}

/** Settings of `trajectoryPairs`. */
export interface TrajectoryPairsOptions {
  /** The student's process. */
  readonly process: ProcessConfig;
  /** Trajectories, which a teacher draws while the student learns. */
  readonly source: TrajectorySource;
  /** Pairs of a step. */
  readonly batchSize: number;
  /** How many pairs are taken of each trajectory, on average. */
  readonly uses: number;
  /** Of every draw; 0 by default. */
  readonly seed?: number;
}

/** Share of the pairs that stand where every drawing begins, in nothing but noise: what is learnt there is harder, and there is one level of it. */
const atTheTop = 0.25;

/**
 * Pairs of a place of a teacher's trajectory, drawn at random, with the picture at its end: what a consistency function says there, exactly, so
 * that nothing has to be passed on from level to level while it is learnt (Luhman & Luhman 2021 at the noisiest level; here at all). Places
 * lie evenly by the seventh root of sigma / alpha, as the sampler's levels do; between two that the teacher visited, x / alpha is
 * interpolated linearly in sigma / alpha, in which the flow is almost straight.
 *
 * @returns a function of the step; a new block of trajectories is drawn when the last one has been used.
 */
export function trajectoryPairs({ process, source, batchSize, uses, seed = 0 }: TrajectoryPairsOptions) {
  const range = noiseRange(process);
  const stepsPerBlock = Math.max(1, Math.round((source.size * uses) / batchSize));
  let kept: { readonly index: number; readonly block: Promise<Trajectories> } | undefined;
  const blockAt = (index: number): Promise<Trajectories> => {
    if (kept?.index !== index) kept = { index, block: source.block(index) };
    return kept.block;
  };
  return async (step: number): Promise<ConsistencyBatch> => {
    const trajectories = await blockAt(Math.floor((step - 1) / stepsPerBlock));
    const { levels, end, labels, guidanceScales } = trajectories;
    const ratios = levels.map(noiseRatio);
    const [most, least] = [ratios[0]! ** (1 / 7), ratios.at(-1)! ** (1 / 7)];
    const u = drawPlaces(seed, step, 3 * batchSize);
    const chosen = Array.from({ length: batchSize }, (_, i) => Math.floor(u[3 * i]! * source.size));
    const places = chosen.map((_, i) => {
      if (u[3 * i + 1]! < atTheTop) return ratios[0]!;
      const ratio = (least + u[3 * i + 2]! * (most - least)) ** 7;
      return Math.min(Math.max(ratio, ratios.at(-1)!), ratios[0]!);
    });
    const at = places.map((ratio) => range.at(ratio));
    const size = sizeOf(end.shape.slice(1));
    const shape = [batchSize, ...end.shape.slice(1)];
    const x = new Float32Array(batchSize * size);
    const pictures = new Float32Array(batchSize * size);
    for (const [i, row] of chosen.entries()) {
      fillBetween(x.subarray(i * size, (i + 1) * size), trajectories, row, places[i]!, at[i]!.alpha);
      pictures.set(end.data.subarray(row * size, (row + 1) * size), i * size);
    }
    const ones = new Float32Array(batchSize).fill(1);
    const told = <T>(values: ArrayLike<T>): T[] => chosen.map((row) => values[row]!);
    return {
      x: float32(shape, x),
      coefficients: coefficientsAt(process, at),
      end: float32(shape, pictures),
      weight: float32([batchSize], ones),
      ...(labels && { y: int32([batchSize], told(labels.data)) }),
      ...(guidanceScales && { guidanceScale: float32([batchSize], told(guidanceScales.data)) }),
    };
  };
}

/** Image number `row` of the trajectories where sigma / alpha is `ratio`, between two levels that were visited. */
function fillBetween(into: Float32Array, { levels, x }: Trajectories, row: number, ratio: number, alpha: number): void {
  const below = Math.max(
    1,
    levels.findIndex((level) => noiseRatio(level) <= ratio),
  );
  const [from, to] = [levels[below - 1]!, levels[below] ?? levels[below - 1]!];
  const way = noiseRatio(to) - noiseRatio(from);
  const share = way === 0 ? 0 : (ratio - noiseRatio(from)) / way;
  const [first, second] = [x[below - 1]!.data, (x[below] ?? x[below - 1]!).data];
  const size = into.length;
  const [a, b] = [(alpha * (1 - share)) / from.alpha, (alpha * share) / to.alpha];
  for (let i = 0; i < size; i++) into[i] = a * first[row * size + i]! + b * second[row * size + i]!;
}
