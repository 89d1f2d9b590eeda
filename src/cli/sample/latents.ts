import { DataError } from "../../errors.ts";
import { arrayOf, readNpz, writeNpz } from "../../formats/npz.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { parseRunSpec, type RunSpec } from "../../sampling/run-spec.ts";

/** What `guidestar encode` writes: latents [N, C, H, W], and the run whose sampling decodes them, with their labels. */
export interface Latents {
  readonly x: NDArray<"float32">;
  readonly spec: RunSpec;
}

/** arr_0 float32 latents, arr_1 int64 labels, and the record as the bytes of its JSON. */
export const writeLatents = ({ x, spec }: Latents): Uint8Array =>
  writeNpz({
    arr_0: x,
    arr_1: { dtype: "int64", shape: [spec.labels.length], data: BigInt64Array.from(spec.labels, BigInt) },
    guidestar: recordArray(JSON.stringify(spec)),
  });

function recordArray(text: string) {
  const data = new TextEncoder().encode(text);
  return { dtype: "uint8" as const, shape: [data.length], data };
}

/** Reads them. Throws DataError where `guidestar encode` did not write the file, or it is damaged. */
export function readLatents(bytes: Uint8Array, path: string): Latents {
  try {
    const arrays = readNpz(bytes);
    const { shape, data } = arrayOf(arrays, "arr_0", "float32");
    const text = new TextDecoder().decode(arrayOf(arrays, "guidestar", "uint8").data);
    const spec = parseRunSpec(text, "its record");
    if (shape.length !== 4 || shape[0] !== spec.labels.length)
      throw new DataError(`array "arr_0": expected latents [${spec.labels.length}, C, H, W] but it is [${shape}]`);
    return { x: float32(shape, data), spec };
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause;
    throw new DataError(`${path}: are no latents of guidestar encode (${cause.message})`, { cause });
  }
}
