import { afterAll, expect, test } from "vitest";
import { RuntimeFailure } from "../../src/errors.ts";
import { float32, int32, int64 } from "../../src/ndarray.ts";
import { integers, normals } from "../../src/random.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { oneHot } from "../../src/tensor/functions.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { f32, i32, i64, trace } from "../../src/tensor/trace.ts";

// All threads there are: sums of slices that several indices name must not depend on how these share the work.
const backend = await openBackend();
afterAll(() => backend[Symbol.asyncDispose]());

test("a table is looked up, and its gradient adds up, as products with one-hot rows do; the same at every run", async () => {
  const [rows, width, count] = [50, 64, 4096];
  const specs = { table: f32(rows, width), tokens: i32(count), weight: f32(count, width) };
  const graph = trace(specs, ({ table, tokens, weight }) => {
    const [found, multiplied] = [table.gather(0, tokens), oneHot(tokens, rows).matmul(table)];
    return {
      found,
      multiplied,
      ...gradients(found.mul(weight).sum(), { gradient: table }),
      expected: gradients(multiplied.mul(weight).sum(), { table }).table,
    };
  });
  await using program = await compile(graph, backend);
  const inputs = {
    table: float32([rows, width], normals(0, 0, rows * width)),
    tokens: int32([count], integers(0, 1, count, rows)),
    weight: float32([count, width], normals(0, 2, count * width)),
  };
  const { found, multiplied, gradient, expected } = await program.run(inputs);
  expect(found).toEqual(multiplied);
  gradient.data.forEach((value, i) => void expect(Math.abs(value - expected.data[i]!)).toBeLessThan(1e-4));
  for (let run = 0; run < 5; run++) expect((await program.run(inputs)).gradient).toEqual(gradient);
});

test("an index outside is a RuntimeFailure that says so", async () => {
  const graph = trace({ table: f32(3), at: i64(1) }, ({ table, at }) => ({ found: table.gather(0, at) }));
  await using program = await compile(graph, backend);
  const table = float32([3], [1, 2, 3]);
  expect((await program.run({ table, at: int64([1], [-1]) })).found).toEqual(float32([1], [3]));
  for (const index of [3, -4]) {
    const run = program.run({ table, at: int64([1], [index]) });
    await expect(run).rejects.toThrow(RuntimeFailure);
    await expect(run).rejects.toThrow(`idx=${index}`);
  }
});
