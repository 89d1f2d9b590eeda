import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { float32, type NDArray, storedArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend, LoadOptions } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { openProgramCache } from "../../src/runtime/program-cache.ts";
import { concat, conv2d } from "../../src/tensor/functions.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { f32, trace } from "../../src/tensor/trace.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "guidestar-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

const random = (stream: number, shape: number[]): NDArray<"float32"> =>
  float32(
    shape,
    normals(
      1,
      stream,
      shape.reduce((a, b) => a * b, 1),
    ),
  );

/** Two convolutions with a sigmoid linear unit between, whose shift is scaled by `factor`. */
const network = (factor: number) =>
  trace({ x: f32(1, 32, 6, 6), first: f32(64, 32, 3, 3), second: f32(32, 64, 3, 3) }, ({ x, first, second }) => ({
    y: conv2d(conv2d(x, first, undefined, { padding: 1 }).mul(factor).silu(), second, undefined, { padding: 1 }),
  }));
const [x, first, second] = [random(0, [1, 32, 6, 6]), random(1, [64, 32, 3, 3]), random(2, [32, 64, 3, 3])];

/** Slices that lie side by side, whose sizes the engine keeps in a list. */
const slices = trace({ x: f32(1, 32, 6, 6) }, ({ x }) => ({
  y: concat(
    Array.from({ length: 32 }, (_, i) => x.slice(1, i, i + 1).mul(i)),
    1,
  ),
}));

/** A step of gradient descent: `w` and its velocity are state. */
const descent = trace({ x: f32(2, 32, 6, 6), w: f32(32, 32, 3, 3), v: f32(32, 32, 3, 3) }, ({ x, w, v }) => {
  const loss = conv2d(x, w, undefined, { padding: 1 }).silu().square().mean();
  const { w: g } = gradients(loss, { w });
  const velocity = v.mul(0.9).add(g);
  return { loss, v: velocity, w: w.sub(velocity.mul(0.01)) };
});

/** What a start does in the cache's folder: `work` with a fresh backend, and whether each program was an earlier start's. */
async function start<T>(work: (backend: Backend) => Promise<T>, limit = 1e8): Promise<{ result: T; kept: boolean[] }> {
  await using backend = await openBackend({ threads: 1, programs: { folder, limit } });
  const kept: boolean[] = [];
  const load = (model: Parameters<Backend["load"]>[0], options: LoadOptions) => {
    if (options.optimized || options.saveTo) kept.push(options.optimized === true);
    return backend.load(model, options);
  };
  return { result: await work({ ...backend, load }), kept };
}

const infer =
  (factor = 1, bound = { first, second }) =>
  async (backend: Backend): Promise<NDArray<"float32">> => {
    await using program = await compile(network(factor), backend, { bind: bound });
    return (await program.run({ x })).y;
  };
const train = async (backend: Backend) => {
  await using program = await compile(descent, backend, {
    state: { w: random(5, [32, 32, 3, 3]), v: random(3, [32, 32, 3, 3]) },
  });
  const losses = [];
  for (let step = 0; step < 3; step++) losses.push((await program.run({ x: random(4, [2, 32, 6, 6]) })).loss.data[0]);
  return { losses, ...(await program.readState()) };
};
const programs = async (): Promise<string[]> => (await readdir(folder)).map((name) => join(folder, name));

describe("a program of an earlier start", () => {
  test("gives the same bits, without compiling", async () => {
    await using plain = await openBackend({ threads: 1, programs: "none" });
    const reference = await infer()(plain);
    expect(await start(infer())).toEqual({ result: reference, kept: [false] });
    expect(await start(infer())).toEqual({ result: reference, kept: [true] });
  });

  test("keeps its state as it did", async () => {
    await using plain = await openBackend({ threads: 1, programs: "none" });
    const reference = await train(plain);
    expect(await start(train)).toEqual({ result: reference, kept: [false] });
    expect(await start(train)).toEqual({ result: reference, kept: [true] });
  });

  test("holds the sizes of slices", async () => {
    const run = async (backend: Backend) => {
      await using program = await compile(slices, backend);
      return (await program.run({ x })).y;
    };
    const { result, kept } = await start(run);
    expect(kept).toEqual([false]);
    expect(await start(run)).toEqual({ result, kept: [true] });
  });

  test("is another one where a number, a weight or the shape of a graph differs", async () => {
    await start(infer());
    expect((await start(infer(1.0000001))).kept).toEqual([false]);
    const changed = float32(second.shape, second.data.slice());
    changed.data[5000]! += 1e-6;
    expect((await start(infer(1, { first, second: changed }))).kept).toEqual([false]);
    const other = random(6, [64, 32, 3, 3]);
    expect((await start(infer(1, { first: other, second }))).kept).toEqual([false]);
    expect(await programs()).toHaveLength(4);
  });

  test.each<[string, (file: string) => Promise<void>]>([
    ["cut short", (file) => truncate(file, 1000)],
    ["empty", (file) => truncate(file, 0)],
    [
      "changed in one bit",
      async (file) => {
        const bytes = await readFile(file);
        bytes[bytes.length >> 1]! ^= 1;
        await writeFile(file, bytes);
      },
    ],
    ["gone", (file) => rm(file)],
  ])("is made again where one of its files is %s", async (_, damage) => {
    const { result } = await start(infer());
    const [program] = await programs();
    expect((await readdir(program!)).sort()).toEqual(["model.onnx", "program.json", "weights"]);
    for (const name of ["model.onnx", "program.json", "weights"]) {
      const file = join(program!, name);
      const whole = await readFile(file);
      await damage(file);
      expect(await start(infer()), name).toEqual({ result, kept: [false] });
      expect((await readFile(file)).equals(whole), name).toBe(true);
    }
  });

  test("is made again where its record says otherwise what is updated in place", async () => {
    const { result } = await start(train);
    const [program] = await programs();
    const record = join(program!, "program.json");
    const text = await readFile(record, "utf8");
    expect(text).toContain('"inPlace":["w","v"]');
    await writeFile(record, text.replace('["w","v"]', '["v"]'));
    expect(await start(train)).toEqual({ result, kept: [false] });
  });

  test("is one of its weights' fingerprints, where they have such: they are not read again", async () => {
    const stored = (fingerprint: string, read: () => Float32Array) => ({
      first: storedArray(first.shape, read, { fingerprint }),
      second,
    });
    const never = () => {
      throw new Error("read");
    };
    const { result } = await start(
      infer(
        1,
        stored("a", () => first.data),
      ),
    );
    expect(await start(infer(1, stored("a", never)))).toEqual({ result, kept: [true] });
    expect(
      await start(
        infer(
          1,
          stored("b", () => second.data),
        ),
      ),
    ).toMatchObject({ kept: [false] });
  });

  test("leaves nothing where it could not be loaded", async () => {
    const failing = async (backend: Backend) => {
      const load: Backend["load"] = (model, options) =>
        options.saveTo === undefined ? backend.load(model, options) : Promise.reject(new Error("no memory"));
      return infer()({ ...backend, load });
    };
    await expect(start(failing)).rejects.toThrow("no memory");
    expect(await programs()).toEqual([]);
  });

  test("is not kept where the engine could not write it, and runs all the same", async () => {
    const { result } = await start(infer());
    await Promise.all((await programs()).map((program) => rm(program, { recursive: true })));
    const unwritable = async (backend: Backend) => {
      const load: Backend["load"] = async (model, options) => {
        // A folder where the weights should be.
        if (options.saveTo !== undefined) await mkdir(join(options.saveTo, "weights"));
        return backend.load(model, options);
      };
      return infer()({ ...backend, load });
    };
    expect((await start(unwritable)).result).toEqual(result);
    expect(await programs()).toEqual([]);
  });
});

describe("the folder of programs", () => {
  test("holds whole programs alone, and those used last where it is full", async () => {
    await start(infer(1));
    await start(infer(2));
    const made = await programs();
    const sizes = await Promise.all(
      (await readdir(made[0]!)).map(async (name) => (await stat(join(made[0]!, name))).size),
    );
    const size = sizes.reduce((a, b) => a + b, 0);
    const past = new Date(Date.now() - 60_000);
    for (const program of made) await utimes(program, past, past);
    // What a start left that ended while it wrote, and what one is writing now.
    const [key] = (await readdir(folder)) as [string];
    for (const name of [`${key}.aaaaaa`, `${key}.bbbbbb`]) await mkdir(join(folder, name));
    await utimes(join(folder, `${key}.aaaaaa`), 0, 0);
    expect((await start(infer(1))).kept).toEqual([true]); // now the one used last
    await start(infer(3), 2.5 * size);
    expect(await programs()).toHaveLength(3);
    expect(await readdir(folder)).toContain(`${key}.bbbbbb`);
    expect((await start(infer(1))).kept).toEqual([true]);
    expect((await start(infer(2))).kept).toEqual([false]);
  });

  test("is not needed: without one, or one that cannot be written, programs are compiled", async () => {
    const { result } = await start(infer());
    const missing = await mkdtemp(join(folder, "x"));
    await rm(missing, { recursive: true });
    await writeFile(missing, "a file where the folder should be");
    await using backend = await openBackend({ threads: 1, programs: { folder: missing, limit: 1e8 } });
    expect(backend.programs).toBeUndefined();
    expect(await infer()(backend)).toEqual(result);
    expect((await start(infer(), 0)).kept).toEqual([]);
    expect((await start(infer(), 8 * first.data.length)).kept).toEqual([true]);
    expect((await start(infer(), 8 * first.data.length - 1)).kept).toEqual([]);
  });

  test.each([
    ["off", false],
    ["0", false],
    ["50", true],
    ["", true],
  ])("is there or not where GUIDESTAR_PROGRAM_CACHE is '%s': %s", (text, there) => {
    vi.stubEnv("GUIDESTAR_PROGRAM_CACHE", text);
    expect(openProgramCache({}, { folder }) !== undefined).toBe(there);
    vi.stubEnv("GUIDESTAR_PROGRAM_CACHE", "much");
    expect(() => openProgramCache({})).toThrow(UsageError);
    vi.unstubAllEnvs();
  });

  test("may vanish while a program is compiled", async () => {
    const { result } = await start(infer());
    const vanishing = join(folder, "vanishing");
    await using backend = await openBackend({ threads: 1, programs: { folder: vanishing, limit: 1e8 } });
    await rm(vanishing, { recursive: true });
    expect(await infer()(backend)).toEqual(result);
  });
});
