import { execFile } from "node:child_process";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RuntimeFailure, ShapeError, UsageError } from "../../src/errors.ts";
import { float32, int32, type NDArray } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { full } from "../../src/tensor/tensor.ts";
import { f32, i32, trace } from "../../src/tensor/trace.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const scaled = trace({ x: f32(2, 3), factor: f32(3) }, ({ x, factor }) => ({ y: x.mul(factor) }));
const x = float32([2, 3], [1, 2, 3, 4, 5, 6]);
const factor = float32([3], [1, 10, 100]);

describe("a program", () => {
  test("takes and gives trees of values", async () => {
    const graph = trace({ a: { b: f32(2), c: { d: f32(2) } }, n: i32(2) }, ({ a, n }) => ({
      sum: { of: { all: a.b.add(a.c.d).add(n.cast("float32")) } },
      difference: a.b.sub(a.c.d),
    }));
    await using program = await compile(graph, backend);
    const result = await program.run({
      a: { b: float32([2], [1, 2]), c: { d: float32([2], [3, 5]) } },
      n: int32([2], [10, 20]),
    });
    expect(result).toEqual({ sum: { of: { all: float32([2], [14, 27]) } }, difference: float32([2], [-2, -3]) });
  });

  test("gives integers and truth values as such", async () => {
    const graph = trace({ x: f32(3) }, ({ x }) => ({ whole: x.cast("int32"), positive: x.less(0) }));
    await using program = await compile(graph, backend);
    const { whole, positive } = await program.run({ x: float32([3], [-1.5, 0, 2.5]) });
    expect(whole).toEqual(int32([3], [-1, 0, 2]));
    expect(positive).toEqual({ dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 0) });
  });

  test("gives an input that is an output, and one value under two names", async () => {
    const graph = trace({ x: f32(2) }, ({ x }) => ({ x, first: x.mul(2), second: x.mul(2) }));
    await using program = await compile(graph, backend);
    const [value, twice] = [float32([2], [1, 2]), float32([2], [2, 4])];
    expect(await program.run({ x: value })).toEqual({ x: value, first: twice, second: twice });
  });

  test("leaves the arrays that it was given as they were, and gives new ones at each run", async () => {
    await using program = await compile(scaled, backend);
    const first = await program.run({ x, factor });
    const second = await program.run({ x, factor: float32([3], [0, 0, 0]) });
    expect([...x.data]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...first.y.data]).toEqual([1, 20, 300, 4, 50, 600]);
    expect([...second.y.data]).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test("takes a view into a larger buffer", async () => {
    const view = new Float32Array([9, 9, 1, 2, 3, 4, 5, 6, 9]).subarray(2, 8);
    await using program = await compile(scaled, backend, { bind: { x: float32([2, 3], view) } });
    expect([...(await program.run({ factor })).y.data]).toEqual([1, 20, 300, 4, 50, 600]);
    await using free = await compile(scaled, backend);
    expect([...(await free.run({ x: float32([2, 3], view), factor })).y.data]).toEqual([1, 20, 300, 4, 50, 600]);
  });

  test("answers runs that were asked for at once in their order", async () => {
    await using program = await compile(scaled, backend, { bind: { x } });
    const runs = [1, 2, 3, 4].map((n) => program.run({ factor: float32([3], [n, n, n]) }));
    expect((await Promise.all(runs)).map(({ y }) => y.data[0])).toEqual([1, 2, 3, 4]);
  });

  test("gives the same numbers each time", async () => {
    const graph = trace({ a: f32(64, 64) }, ({ a }) => ({ y: a.matmul(a).softmax().sum(0).normalize(1e-5) }));
    await using program = await compile(graph, backend);
    const a = float32(
      [64, 64],
      Float32Array.from({ length: 64 * 64 }, (_, i) => Math.sin(i)),
    );
    expect(await program.run({ a })).toEqual(await program.run({ a }));
  });
});

describe("bound inputs", () => {
  test("are not given to run", async () => {
    await using program = await compile(scaled, backend, { bind: { factor } });
    expect([...(await program.run({ x })).y.data]).toEqual([1, 20, 300, 4, 50, 600]);
  });

  test("can be whole trees", async () => {
    const graph = trace({ x: f32(2), params: { w: f32(2), deep: { b: f32() } } }, ({ x, params }) => ({
      y: x.mul(params.w).add(params.deep.b),
    }));
    await using program = await compile(graph, backend, {
      bind: { params: { w: float32([2], [2, 3]), deep: { b: float32([], [1]) } } },
    });
    expect([...(await program.run({ x: float32([2], [10, 10]) })).y.data]).toEqual([21, 31]);
  });

  test("must be inputs of the traced shape", async () => {
    await expect(compile(scaled, backend, { bind: { factor: float32([2], [1, 2]) } })).rejects.toThrow(
      new ShapeError('input "factor" must be float32 [3] but is float32 [2]'),
    );
    // @ts-expect-error a name that is not an input is an error in the editor too
    await expect(compile(scaled, backend, { bind: { scale: factor } })).rejects.toThrow(
      new UsageError('compile: "scale" is not an input of the graph; its inputs are x, factor'),
    );
  });
});

describe("state", () => {
  const counter = trace({ by: f32(), count: f32(), seen: { sum: f32(2) } }, ({ by, count, seen }) => ({
    count: count.add(by),
    seen: { sum: seen.sum.add(count) },
    before: count,
  }));
  const initial = () => ({ count: float32([], [5]), seen: { sum: float32([2], [0, 100]) } });
  const by = float32([], [2]);

  test("is kept from run to run and read when asked for", async () => {
    const state = initial();
    await using program = await compile(counter, backend, { state });
    expect(await program.readState()).toEqual(initial());
    expect(await program.run({ by })).toEqual({ before: float32([], [5]) });
    expect(await program.run({ by })).toEqual({ before: float32([], [7]) });
    expect(await program.run({ by })).toEqual({ before: float32([], [9]) });
    expect(await program.readState()).toEqual({ count: float32([], [11]), seen: { sum: float32([2], [21, 121]) } });
    expect(state).toEqual(initial());
  });

  test("may start from one array in two places", async () => {
    const graph = trace({ a: f32(2), b: f32(2) }, ({ a, b }) => ({ a: a.add(1), b: b.mul(2) }));
    const shared = float32([2], [1, 2]);
    await using program = await compile(graph, backend, { state: { a: shared, b: shared } });
    for (let run = 0; run < 3; run++) await program.run({});
    expect(await program.readState()).toEqual({ a: float32([2], [4, 5]), b: float32([2], [8, 16]) });
  });

  test("that was read can be continued from, and does not change by further runs", async () => {
    await using program = await compile(counter, backend, { state: initial() });
    await program.run({ by });
    const saved = await program.readState();
    await program.run({ by });
    await program.run({ by });
    expect(saved).toEqual({ count: float32([], [7]), seen: { sum: float32([2], [5, 105]) } });
    await using again = await compile(counter, backend, { state: saved });
    await again.run({ by });
    await again.run({ by });
    expect(await again.readState()).toEqual(await program.readState());
  });

  test("of two programs from one graph is apart", async () => {
    await using one = await compile(counter, backend, { state: initial() });
    await using two = await compile(counter, backend, { state: initial() });
    await one.run({ by });
    expect((await two.readState()).count).toEqual(float32([], [5]));
  });

  test("of two inputs can be exchanged", async () => {
    const swap = trace({ a: f32(2), b: f32(2) }, ({ a, b }) => ({ a: b, b: a }));
    await using program = await compile(swap, backend, {
      state: { a: float32([2], [1, 2]), b: float32([2], [3, 4]) },
    });
    for (let i = 0; i < 3; i++) await program.run({});
    expect(await program.readState()).toEqual({ a: float32([2], [3, 4]), b: float32([2], [1, 2]) });
  });

  test("needs an output of its name and shape", async () => {
    await expect(compile(scaled, backend, { state: { x } })).rejects.toThrow(
      new UsageError('compile: state "x" has no output of that name to take its next value from'),
    );
    const growing = trace({ a: f32(2) }, ({ a }) => ({ a: a.expand(3, 2) }));
    await expect(compile(growing, backend, { state: { a: float32([2], [1, 2]) } })).rejects.toThrow(ShapeError);
  });
});

describe("a run is refused with a clear error", () => {
  const refused = async (inputs: Record<string, NDArray>, error: Error) => {
    await using program = await compile(scaled, backend);
    await expect(program.run(inputs as Parameters<typeof program.run>[0])).rejects.toThrow(error);
    // and the program stays usable
    expect([...(await program.run({ x, factor })).y.data]).toEqual([1, 20, 300, 4, 50, 600]);
  };

  test("where an input is missing", () =>
    refused({ x }, new ShapeError('input "factor" is missing: expected float32 [3]')));
  test("where a shape is wrong", () =>
    refused(
      { x: float32([3, 2], x.data), factor },
      new ShapeError('input "x" must be float32 [2, 3] but is float32 [3, 2]'),
    ));
  test("where a type is wrong", () =>
    refused(
      { x, factor: int32([3], [1, 2, 3]) },
      new ShapeError('input "factor" must be float32 [3] but is int32 [3]'),
    ));
  test("where there is an input too many", () =>
    refused({ x, factor, z: x }, new UsageError('run: "z" is not an input of this program; it takes x, factor')));
});

test("the event loop stays free while a program runs", async () => {
  const graph = trace({ start: f32() }, ({ start }) => {
    let y = full([768, 768], 1 / 768).add(start);
    for (let i = 0; i < 30; i++) y = y.matmul(y);
    return { y: y.sum() };
  });
  await using program = await compile(graph, backend);
  const before = performance.eventLoopUtilization();
  await program.run({ start: float32([], [0]) });
  const { idle, active } = performance.eventLoopUtilization(before);
  // Had it computed here, it would not have been idle at all, however slow or busy the machine is.
  expect(idle).toBeGreaterThan(active);
});

describe("disposal", () => {
  test("of a program waits for the run in flight; a later run says that it is gone", async () => {
    const program = await compile(scaled, backend);
    const pending = program.run({ x, factor });
    await program[Symbol.asyncDispose]();
    expect((await pending).y.data[2]).toBe(300);
    await expect(program.run({ x, factor })).rejects.toThrow(new RuntimeFailure("this program has been disposed"));
  });

  test("of a backend waits for the run in flight; later work says that it is closed", async () => {
    const own = await openBackend({ threads: 1 });
    const program = await compile(scaled, own);
    const pending = program.run({ x, factor });
    await own[Symbol.asyncDispose]();
    expect((await pending).y.data[2]).toBe(300);
    await expect(program.run({ x, factor })).rejects.toThrow(new RuntimeFailure("the engine is closed"));
    await expect(compile(scaled, own)).rejects.toThrow(new RuntimeFailure("the engine is closed"));
    await program[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
  });

  test("is not needed for a process to end", async () => {
    const script = `
      import { openBackend } from ${JSON.stringify(new URL("../../src/runtime/node.ts", import.meta.url).href)};
      import { compile } from ${JSON.stringify(new URL("../../src/runtime/compile.ts", import.meta.url).href)};
      import { f32, trace } from ${JSON.stringify(new URL("../../src/tensor/trace.ts", import.meta.url).href)};
      const backend = await openBackend({ threads: 1 });
      const program = await compile(trace({ x: f32(1) }, ({ x }) => ({ y: x.exp() })), backend);
      const { y } = await program.run({ x: { dtype: "float32", shape: [1], data: Float32Array.of(0) } });
      console.log(y.data[0]);`;
    const arguments_ = ["--import", "tsx", "--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, arguments_, { timeout: 30_000 });
    expect(stdout).toBe("1\n");
  });
});
