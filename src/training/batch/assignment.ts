import { float32, type NDArray, sizeOf } from "../../ndarray.ts";

/**
 * The assignment of rows to columns of least cost: entry i is the column of row i, each column once. Shortest augmenting paths with
 * potentials (Kuhn 1955; Jonker & Volgenant 1987), of order n^3. Of equally cheap ones the same each time.
 *
 * @param cost n x n numbers, row by row
 */
export function cheapestAssignment(cost: Float64Array, n: number): Int32Array {
  // Rows and columns count from 1; 0 stands for none.
  const rowPotential = new Float64Array(n + 1);
  const columnPotential = new Float64Array(n + 1);
  const rowOf = new Int32Array(n + 1);
  const before = new Int32Array(n + 1);
  for (let row = 1; row <= n; row++) {
    const least = new Float64Array(n + 1).fill(Number.POSITIVE_INFINITY);
    const done = new Uint8Array(n + 1);
    rowOf[0] = row;
    let column = 0;
    do {
      done[column] = 1;
      const current = rowOf[column]!;
      let [step, next] = [Number.POSITIVE_INFINITY, 0];
      for (let j = 1; j <= n; j++) {
        if (done[j]) continue;
        const reduced = cost[(current - 1) * n + j - 1]! - rowPotential[current]! - columnPotential[j]!;
        if (reduced < least[j]!) {
          least[j] = reduced;
          before[j] = column;
        }
        if (least[j]! < step) [step, next] = [least[j]!, j];
      }
      for (let j = 0; j <= n; j++)
        if (done[j]) {
          rowPotential[rowOf[j]!]! += step;
          columnPotential[j]! -= step;
        } else least[j]! -= step;
      column = next;
    } while (rowOf[column] !== 0);
    for (; column !== 0; column = before[column]!) rowOf[column] = rowOf[before[column]!]!;
  }
  const assigned = new Int32Array(n);
  for (let j = 1; j <= n; j++) assigned[rowOf[j]! - 1] = j - 1;
  return assigned;
}

/**
 * The noise of a batch, given to the images so that the sum of squared distances between each and its noise is least: each image then
 * learns to come from a nearer part of the noise. Algorithm 1, Li et al. 2024, "Immiscible diffusion: accelerating diffusion training with
 * noise assignment". Of a batch of one image nothing changes. Outside of the graph, in float64.
 *
 * @param images and noise of one shape, [N, ...]
 */
export function assignNoise(images: NDArray<"float32">, noise: NDArray<"float32">): NDArray<"float32"> {
  const n = images.shape[0]!;
  const size = sizeOf(images.shape.slice(1));
  // |x - z|^2 = |x|^2 + |z|^2 - 2 x z, of which the squares are in every assignment.
  const cost = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let product = 0;
      for (let k = 0; k < size; k++) product += images.data[i * size + k]! * noise.data[j * size + k]!;
      cost[i * n + j] = -product;
    }
  const assigned = cheapestAssignment(cost, n);
  const data = new Float32Array(noise.data.length);
  for (let i = 0; i < n; i++) data.set(noise.data.subarray(assigned[i]! * size, (assigned[i]! + 1) * size), i * size);
  return float32(noise.shape, data);
}
