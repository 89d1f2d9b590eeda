import { zipSync } from "fflate";
import { DataError } from "../errors.ts";
import { bytesOf } from "./bytes.ts";
import { type NumpyArray, type NumpyDType, readNpy, type WritableArray, writeNpy } from "./npy.ts";
import { openZip } from "./zip.ts";

/**
 * Arrays of a `.npz` archive by name (`.npy` is left out of the names). Row-major whatever the file's order; float16 becomes
 * float32 and narrow integers int32. Throws DataError on a truncated or damaged archive or an unsupported array, which it names.
 */
export function readNpz(bytes: Uint8Array): Record<string, NumpyArray> {
  const zip = openZip(bytesOf(bytes), "npz", DataError);
  const arrays = zip.names.map((file) => {
    const name = file.replace(/\.npy$/, "");
    return [name, readNpy(zip.read(file), name)] as const;
  });
  return Object.fromEntries(arrays);
}

/** One array of an archive, of the type that is needed. Throws DataError where it is missing or of another type. */
export function arrayOf<D extends NumpyDType>(
  arrays: Record<string, NumpyArray>,
  name: string,
  dtype: D,
): NumpyArray<D> {
  const array = arrays[name];
  if (!array) throw new DataError(`array "${name}" is missing; there are ${Object.keys(arrays).join(", ")}`);
  if (array.dtype !== dtype) throw new DataError(`array "${name}": expected ${dtype} but it is ${array.dtype}`);
  return array as NumpyArray<D>;
}

/** A `.npz` archive that numpy reads, entries stored as `numpy.savez` does. Equal arrays give equal bytes. */
export function writeNpz(arrays: Record<string, WritableArray>): Uint8Array {
  const files = Object.entries(arrays).map(([name, array]) => [`${name}.npy`, writeNpy(array, name)]);
  return zipSync(Object.fromEntries(files), { level: 0, mtime: new Date(1980, 0, 1) });
}
