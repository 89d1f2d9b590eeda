import { float32, int32, type NDArray, sizeOf } from "../ndarray.ts";
import type { Run } from "./settings.ts";

/** The images of a batch [N, ...] at these places. */
export function rowsOf(
  { shape: [, ...rest], data }: NDArray<"float32">,
  indices: readonly number[],
): NDArray<"float32"> {
  const count = sizeOf(rest);
  const values = new Float32Array(indices.length * count);
  for (const [i, index] of indices.entries()) values.set(data.subarray(index * count, (index + 1) * count), i * count);
  return float32([indices.length, ...rest], values);
}

export interface Batch {
  /** Places of its images among all. */
  readonly indices: readonly number[];
  readonly seeds: readonly number[];
  readonly label: NDArray<"int32">;
}

/** Batches of one size, as equal as they can be; the last image is drawn again where the last batch has room left. */
export function split({ seeds, labels, batch }: Pick<Run, "seeds" | "labels" | "batch">): Batch[] {
  const count = Math.ceil(seeds.length / batch);
  const size = Math.ceil(seeds.length / count);
  return Array.from({ length: count }, (_, n) => {
    const indices = Array.from({ length: size }, (_, i) => Math.min(n * size + i, seeds.length - 1));
    return {
      indices,
      seeds: indices.map((i) => seeds[i]!),
      label: int32(
        [size],
        indices.map((i) => labels[i]!),
      ),
    };
  });
}

/** The first `count` images of batches one after the other. */
export function joined(batches: readonly NDArray<"float32">[], count: number): NDArray<"float32"> {
  const [first] = batches;
  if (batches.length === 1) return first!;
  const shape = [count, ...first!.shape.slice(1)];
  const values = new Float32Array(sizeOf(shape));
  let at = 0;
  for (const { data } of batches) {
    values.set(data.subarray(0, values.length - at), at);
    at += data.length;
  }
  return float32(shape, values);
}
