import { float32 } from "../ndarray.ts";
import { concat } from "../tensor/functions.ts";
import { constant, type Tensor } from "../tensor/tensor.ts";

/** Rows and columns of tokens that come from an image, row by row. */
export type Grid = readonly [rows: number, columns: number];

/** For every token of the grid, `angle(row, i)` for i = 0 ... count - 1, then `angle(column, i)`: [tokens, 2 count]. */
function angles([rows, columns]: Grid, count: number, longest: number): Float32Array {
  const values = new Float32Array(rows * columns * 2 * count);
  let at = 0;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      for (const position of [row, column])
        for (let i = 0; i < count; i++) values[at++] = position * longest ** (-i / count);
  return values;
}

/**
 * Where each token of a grid is, as sines and cosines: [tokens, width]. A quarter of the numbers each for the sines and cosines of the row
 * and of the column, with frequencies from 1 down to 1 / 10000 (Vaswani et al. 2017; for images Dosovitskiy et al. 2021).
 *
 * @param width a multiple of 4
 */
export function sinePositions(grid: Grid, width: number): Tensor {
  const values = angles(grid, width / 4, 10_000);
  const tokens = grid[0] * grid[1];
  return constant(
    float32(
      [tokens, width],
      Float32Array.from({ length: tokens * width }, (_, i) => {
        const [token, k] = [Math.floor(i / width), i % width];
        const angle = values[token * (width / 2) + (k % (width / 2))]!;
        return k < width / 2 ? Math.sin(angle) : Math.cos(angle);
      }),
    ),
  );
}

/**
 * Longest wavelength of rotations, in units of 2 pi tokens. Language has 10000 for texts of thousands of words; a small image has some ten
 * rows, over which the slower half of those frequencies would not turn at all.
 */
const slowestRotation = 100;

/**
 * Rotary positions in two dimensions (Su et al. 2021): pairs of numbers (i, i + d / 2) of queries or keys are turned by an angle
 * proportional to the token's row, for the first half of i, or to its column, so that their products depend on distances alone.
 *
 * @param x [..., tokens, d] with d a multiple of 4
 */
export function rotate(x: Tensor, grid: Grid): Tensor {
  const width = x.shape.at(-1)!;
  const values = angles(grid, width / 4, slowestRotation);
  const table = (fn: (angle: number) => number): Tensor =>
    constant(float32([grid[0] * grid[1], width / 2], values.map(fn)));
  const [cos, sin] = [table(Math.cos), table(Math.sin)];
  const [a, b] = x.split(-1, 2) as [Tensor, Tensor];
  return concat([a.mul(cos).sub(b.mul(sin)), a.mul(sin).add(b.mul(cos))], -1);
}
