import { float32, type NDArray, type Shape } from "../../ndarray.ts";
import type { Tensor } from "../../tensor/tensor.ts";

/*
 * Networks have a convolution's kernel as [O, I, K, K]. Training keeps it, and its averages, as [K K, O, I]: its gradient is computed
 * in that order, and the engine's blocked order is made of it by moving runs of channels where [O, I, K, K] moves single numbers.
 */

const isKernel = (shape: Shape): boolean => shape.length === 4 && shape[2]! * shape[3]! > 1;

/** The shape in which training keeps a parameter. */
export const keptShape = (shape: Shape): Shape =>
  isKernel(shape) ? [shape[2]! * shape[3]!, shape[0]!, shape[1]!] : shape;

/** A kept parameter as the network, whose parameter is of `shape`, takes it. */
export function asParameter(kept: Tensor, shape: Shape): Tensor {
  if (!isKernel(shape)) return kept;
  const [out, channels, height, width] = shape as [number, number, number, number];
  return kept.reshape(height, width, out, channels).permute(2, 3, 0, 1);
}

/** Values of a parameter as training keeps them. */
export function keptValues({ shape, data }: NDArray<"float32">): NDArray<"float32"> {
  if (!isKernel(shape)) return { dtype: "float32", shape, data };
  const [taps, out, channels] = keptShape(shape) as [number, number, number];
  // A run begins with averages of zero, alike in every order: no second array of them.
  const ordered = data.every((value) => value === 0) ? data : transposed(data, out * channels, taps);
  return float32(keptShape(shape), ordered);
}

/** Kept values as the network, whose parameter is of `shape`, has them. */
export function parameterValues({ data }: NDArray<"float32">, shape: Shape): NDArray<"float32"> {
  if (!isKernel(shape)) return float32(shape, data);
  const [taps, out, channels] = keptShape(shape) as [number, number, number];
  return float32(shape, transposed(data, taps, out * channels));
}

/** A matrix [rows, columns] with rows and columns exchanged. */
function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) result[column * rows + row] = data[row * columns + column]!;
  return result;
}
