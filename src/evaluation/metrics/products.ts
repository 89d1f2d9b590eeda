import { DataError } from "../../errors.ts";
import { float32 } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { compile } from "../../runtime/compile.ts";
import { f32, trace } from "../../tensor/trace.ts";
import type { Matrix } from "./matrix.ts";

/** Products of rows of two sets, a part of the whole table. */
export interface ProductBlock {
  /** Rows first ... first + count - 1 of a, and of b. */
  readonly a: { readonly first: number; readonly count: number };
  readonly b: { readonly first: number; readonly count: number };
  /** Row i, column j of the block: (a_i - centre) . (b_j - centre), at i stride + j, in `unit`s. */
  readonly products: Float32Array;
  /** 1, or a power of two where products in float32 would be infinite or zero. */
  readonly unit: number;
  readonly stride: number;
}

/** Where sums of products run. */
export interface EngineOptions {
  /** Where programs run. */
  readonly backend: Backend;
  /** Ends the work before the next run of a program, by throwing the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface ProductOptions extends EngineOptions {
  /** [D]: taken off all rows first, since float32 keeps the digits of what is near zero. */
  readonly centre: Float64Array;
}

/** Rows of each set in a block: two blocks of products (one computed, one read) take 2 x 16 MB, however many rows there are. */
const side = 2048;

/**
 * All products of rows of `a` with rows of `other`, block by block, by the engine in float32; while one block is read, the next is
 * computed. Without `other` they are those of the rows of `a` with each other, and blocks below the diagonal are left out.
 */
export async function* blockedProducts(
  a: Matrix,
  other: Matrix | undefined,
  { centre, backend, signal }: ProductOptions,
): AsyncGenerator<ProductBlock, void, undefined> {
  const b = other ?? a;
  const width = a.columns;
  const [height, stride] = [Math.min(side, a.rows), Math.min(side, b.rows)];
  const graph = trace({ a: f32(height, width), b: f32(stride, width) }, (inputs) => ({
    products: inputs.a.matmul(inputs.b.permute(1, 0)),
  }));
  await using program = await compile(graph, backend);
  const scale = scaleOf([a, b], centre);
  const centred = ({ rows, data }: Matrix, first: number, size: number) => {
    const block = float32([size, width]);
    const count = Math.min(size, rows - first);
    for (let i = 0, at = first * width, to = 0; i < count; i++)
      for (let j = 0; j < width; j++) block.data[to++] = (data[at++]! - centre[j]!) * scale;
    return { block, count };
  };
  let pending: Promise<ProductBlock> | undefined;
  for (let i = 0; i < a.rows; i += height) {
    const left = centred(a, i, height);
    for (let j = other ? 0 : i; j < b.rows; j += stride) {
      signal?.throwIfAborted();
      const right = !other && i === j ? left : centred(b, j, stride);
      const next = program.run({ a: left.block, b: right.block }).then(({ products }) => ({
        a: { first: i, count: left.count },
        b: { first: j, count: right.count },
        products: products.data,
        unit: scale ** -2,
        stride,
      }));
      // Where the one before fails, nobody asks for this one, and how it ends is not to end the process.
      next.catch(() => undefined);
      if (pending) yield await pending;
      pending = next;
    }
  }
  if (pending) yield await pending;
}

/** Rows between these have squares that float32 can tell, summed over any number of columns. */
const [smallest, largest] = [2 ** -40, 2 ** 50];

/** 1, or the power of two that brings rows less their centre near 1 where their products in float32 would be infinite or zero. */
function scaleOf(sets: readonly Matrix[], centre: Float64Array): number {
  let most = 0;
  for (const { rows, columns, data } of sets)
    for (let i = 0, at = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) most = Math.max(most, Math.abs(data[at++]! - centre[j]!));
  return most === 0 || (most >= smallest && most <= largest) ? 1 : 2 ** -Math.floor(Math.log2(most));
}

/** Mean of the rows; throws DataError where a number is not finite, or the rows are too many to be held at all. */
export function centreOf({ rows, columns, data }: Matrix, what: string): Float64Array {
  const mean = new Float64Array(columns);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) mean[j]! += data[at++]! / rows;
  const bad = mean.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    const row = Array.from({ length: rows }, (_, i) => i).find((i) => !Number.isFinite(data[i * columns + bad]!));
    throw new DataError(`${what}: dimension ${bad} of row ${row} is ${data[row! * columns + bad]}; expected numbers`);
  }
  return mean;
}

/** Throws DataError unless two sets of features are of one width. */
export function checkWidths(a: Matrix, b: Matrix): void {
  if (a.columns !== b.columns)
    throw new DataError(
      `the reference's features have ${a.columns} dimensions but the samples' have ${b.columns}; take both from one detector`,
    );
}

/** |row - centre|^2 of every row. */
export function squaredNorms({ rows, columns, data }: Matrix, centre: Float64Array): Float64Array {
  const norms = new Float64Array(rows);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) norms[i]! += (data[at++]! - centre[j]!) ** 2;
  return norms;
}
