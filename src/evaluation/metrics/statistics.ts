import { DataError } from "../../errors.ts";
import type { Backend } from "../../runtime/backend.ts";
import { compile } from "../../runtime/compile.ts";
import { openEngine } from "../../runtime/engine.ts";
import { f64, trace } from "../../tensor/trace.ts";
import type { Observation } from "../detectors/detector.ts";
import { type Matrix, matrixOf } from "./matrix.ts";

/** Mean and covariance of features of D dimensions. */
export interface Moments {
  /** Images they were taken from; undefined where a file of another program doesn't say. */
  readonly count: number | undefined;
  /** [D] */
  readonly mean: Float64Array;
  /** [D, D], the sum of squares divided by count - 1. */
  readonly covariance: Float64Array;
}

/** What the Frechet distances of a set of images need. */
export interface Statistics extends Moments {
  /** Those of the spatial features, for spatial FID. */
  readonly spatial?: Moments;
}

/** Settings of `moments` and `statistics`. */
export interface StatisticsOptions {
  /** Where sums of products are taken, in float64, which CPUs have; by default a backend of its own, for as long as it takes. */
  readonly backend?: Backend;
  /** Ends the work before the next batch, by throwing the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Rows that are added at a time. */
const piece = 512;

/**
 * Mean and covariance of features that come in batches, in one pass and in float64: memory grows with D^2, not with the images. The
 * mean of the first rows is taken off beforehand, so that large means cost no digits.
 *
 * @throws DataError where rows are of different widths, a number is not finite, or there are fewer than two rows
 */
export async function moments(
  batches: AsyncIterable<Matrix> | Iterable<Matrix>,
  { backend, signal }: StatisticsOptions = {},
): Promise<Moments> {
  await using sums = new Sums(backend);
  for await (const batch of batches) {
    signal?.throwIfAborted();
    await sums.add(batch);
  }
  return await sums.moments();
}

/**
 * Statistics of what a detector sees, `statistics(features(images, detector))`: of the features, and of the spatial ones where there are some.
 *
 * @throws DataError as `moments` does
 */
export async function statistics(
  observations: AsyncIterable<Observation> | Iterable<Observation>,
  { backend, signal }: StatisticsOptions = {},
): Promise<Statistics> {
  await using sums = new Sums(backend);
  await using spatialSums = new Sums(backend);
  let hasSpatial = false;
  for await (const { features, spatial } of observations) {
    signal?.throwIfAborted();
    await sums.add(matrixOf(features));
    if (spatial) await spatialSums.add(matrixOf(spatial));
    hasSpatial = spatial !== undefined;
  }
  const plain = await sums.moments();
  return hasSpatial ? { ...plain, spatial: await spatialSums.moments() } : plain;
}

type Program = Awaited<ReturnType<typeof compileScatter>>;

/** A program that adds x^T x, x [rows, D], to a sum [D, D] that stays in the engine. */
function compileScatter(width: number, backend: Backend) {
  const graph = trace({ x: f64(piece, width), scatter: f64(width, width) }, ({ x, scatter }) => ({
    scatter: scatter.add(x.permute(1, 0).matmul(x)),
  }));
  const scatter = { dtype: "float64", shape: [width, width], data: new Float64Array(width * width) } as const;
  return compile(graph, backend, { state: { scatter } });
}

/** Sums of one stream of rows. Rows wait until a piece is full; what is missing of the last one is rows of zeros. */
class Sums implements AsyncDisposable {
  private count = 0;
  private waiting = 0;
  private shift: Float64Array | undefined;
  private sum = new Float64Array(0);
  private rows = new Float64Array(0);
  private program: Program | undefined;
  private ownBackend: Backend | undefined;
  private readonly backend: Backend | undefined;

  constructor(backend: Backend | undefined) {
    this.backend = backend;
  }

  async add({ rows, columns, data }: Matrix): Promise<void> {
    if (rows === 0) return;
    this.shift ??= this.start(rows, columns, data);
    const { shift, sum } = this;
    if (columns !== shift.length)
      throw new DataError(`features of ${shift.length} dimensions are followed by features of ${columns}`);
    for (let i = 0; i < rows; i++) {
      const to = this.waiting * columns;
      for (let j = 0; j < columns; j++) {
        const value = data[i * columns + j]! - shift[j]!;
        this.rows[to + j] = value;
        sum[j]! += value;
      }
      this.count++;
      this.waiting++;
      if (this.waiting === piece) await this.flush();
    }
  }

  private start(rows: number, columns: number, data: Matrix["data"]): Float64Array {
    const mean = new Float64Array(columns);
    for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j]! += data[i * columns + j]! / rows;
    this.sum = new Float64Array(columns);
    this.rows = new Float64Array(piece * columns);
    return mean;
  }

  private async flush(): Promise<void> {
    const width = this.shift!.length;
    this.program ??= await compileScatter(width, this.backend ?? (await this.openOwn()));
    const rows = this.rows.fill(0, this.waiting * width);
    await this.program.run({ x: { dtype: "float64", shape: [piece, width], data: rows } });
    this.waiting = 0;
  }

  private async openOwn(): Promise<Backend> {
    this.ownBackend = await openEngine();
    return this.ownBackend;
  }

  async moments(): Promise<Moments> {
    const { count, shift, sum } = this;
    if (!shift || count < 2)
      throw new DataError(`a covariance needs the features of at least two images but there are ${count}`);
    if (this.waiting > 0) await this.flush();
    const covariance = (await this.program!.readState()).scatter.data;
    const width = shift.length;
    const bad = sum.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new DataError(`dimension ${bad} of the features is ${sum[bad]} in some image; are the images whole?`);
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) {
        const at = i * width + j;
        covariance[at] = (covariance[at]! - (sum[i]! * sum[j]!) / count) / (count - 1);
      }
    return { count, mean: shift.map((value, j) => value + sum[j]! / count), covariance };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program?.[Symbol.asyncDispose]();
    await this.ownBackend?.[Symbol.asyncDispose]();
  }
}
