import { type NDArray, placeOf, sizeOf } from "../ndarray.ts";
import { elementBytes, type WriterOptions } from "../onnx/writer.ts";

/** Fixed values of this size (bytes) are mapped from a file, where no copy of them is made and the system may drop and read again what is not in use. */
export const largeFrom = 2 ** 27;

export const bytesIn = (values: Iterable<NDArray>): number =>
  [...values].reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * elementBytes[dtype], 0);

/**
 * How a model carries its fixed values: those that lie in files of one folder stay there, with few others in the model's own bytes; where
 * too many others are, all of them go to one file that the backend makes.
 */
export function carrying(values: readonly NDArray[]): WriterOptions {
  const folder = values.map((value) => placeOf(value)?.folder).find((found) => found !== undefined);
  const others = values.filter((value) => folder === undefined || placeOf(value)?.folder !== folder);
  if (bytesIn(others) >= largeFrom) return { weights: { file: "weights.bin" } };
  return { weights: "inside", ...(folder !== undefined && { folder }) };
}
