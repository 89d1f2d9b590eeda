import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ModelError, UsageError } from "../../src/errors.ts";
import type { NDArray } from "../../src/ndarray.ts";
import "../../src/public/node-engine.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { respacingOf } from "../../src/samplers/levels.ts";
import type { Sampler } from "../../src/samplers/sampler.ts";
import { makeSampler } from "../../src/samplers/samplers.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { collect, type SampleOptions, sample } from "../../src/sampling/sample.ts";
import { settle } from "../../src/sampling/settings.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

const model = loadedTinyModel();
const [size] = [8 * 8];
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const draw = (options: SampleOptions): Promise<NDArray<"float32">> => collect(sample(model, { backend, ...options }));

/** Largest difference of two sets of pictures. */
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
};
const image = ({ data }: NDArray<"float32">, i: number): Float32Array => data.subarray(i * size, (i + 1) * size);

const samplers: [string, Sampler][] = [
  ["ddim", ddim({ steps: 4 })],
  ["ddim, eta 0.7", ddim({ steps: 4, eta: 0.7 })],
  ["ddpm", ddpm({ steps: 4 })],
  ["heun with churn", makeSampler("heun", { steps: 3, churn: 2 })],
  ["sa-solver", makeSampler("sa-solver", { steps: 5, eta: 0.5 })],
];
const guidances = {
  none: { cfgScale: 1 },
  "classifier-free": { cfgScale: 3 },
  classifier: { cfgScale: 1, classifierScale: 2 },
  both: { cfgScale: 3, classifierScale: 2 },
  "classifier alone": { unconditional: true, classifierScale: 2 },
};

describe.each(samplers)("%s", (_, sampler) => {
  test.each(["both", "classifier alone"] as const)(
    "guidance by %s: pictures depend on their own seed only",
    async (name) => {
      const options = { labels: ["circle", "star", "square"], sampler, guidance: guidances[name] };
      const together = await draw({ ...options, seeds: [5, 6, 7] });
      const inBatches = await draw({ ...options, seeds: [5, 6, 7], batchSize: 2 });
      const alone = await draw({ ...options, labels: ["star"], seeds: [6] });
      expect(together.shape).toEqual([3, 1, 8, 8]);
      expect(distance(together.data, inBatches.data)).toBeLessThan(1e-4);
      expect(distance(image(together, 1), alone.data)).toBeLessThan(1e-4);
      expect(distance(image(together, 0), image(together, 1))).toBeGreaterThan(0.01);
    },
  );

  test("every part of the guidance changes the pictures", async () => {
    const pictures = await Promise.all(
      Object.values(guidances).map((guidance) => draw({ labels: [1], seeds: [3], sampler, guidance })),
    );
    for (const [i, a] of pictures.entries())
      for (const b of pictures.slice(i + 1)) expect(distance(a.data, b.data)).toBeGreaterThan(1e-3);
  });
});

describe("the loop", () => {
  test("yields every step, from noise to the picture", async () => {
    const events = [];
    for await (const event of sample(model, { backend, seeds: [1, 2], sampler: ddim({ steps: 5 }) }))
      events.push(event);
    expect(events.map(({ step, steps }) => [step, steps])).toEqual([1, 2, 3, 4, 5].map((step) => [step, 5]));
    const { x, x0 } = events.at(-1)!;
    expect(distance(x.data, x0.data)).toBeLessThan(1e-6);
    expect(Math.max(...x0.data.map(Math.abs))).toBeLessThanOrEqual(1);
  });

  test("asks for noise by seed and step, and none where the step is deterministic", async () => {
    const asked: string[] = [];
    const noise = (seed: number, stream: number, count: number) => {
      asked.push(`${seed}/${stream}/${count}`);
      return normals(seed, stream, count);
    };
    await draw({ seeds: [4, 9], sampler: ddpm({ steps: 2 }), noise });
    expect(asked).toEqual(["4/0/64", "9/0/64", "4/1/64", "9/1/64", "4/2/64", "9/2/64"]);
    asked.length = 0;
    await draw({ seeds: [4], sampler: ddim({ steps: 2 }), noise });
    expect(asked).toEqual(["4/0/64"]);
  });

  test("ends with the signal's reason, between two steps", async () => {
    const controller = new AbortController();
    let steps = 0;
    const run = async () => {
      for await (const { step } of sample(model, {
        backend,
        seeds: [1],
        sampler: ddim({ steps: 9 }),
        signal: controller.signal,
      })) {
        steps = step;
        if (step === 3) controller.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(steps).toBe(3);
  });

  test("opens the engine of the entry where none is given", async () => {
    const pictures = await collect(sample(model, { seeds: [1], sampler: ddim({ steps: 2 }) }));
    expect(distance(pictures.data, (await draw({ seeds: [1], sampler: ddim({ steps: 2 }) })).data)).toBeLessThan(1e-4);
  });

  test("works without clipping and on a denoiser that knows no classes", async () => {
    const { numClasses: _, nullLabel: __, ...config } = model.denoiser!.config;
    const { "label_emb.weight": ___, ...denoiser } = model.weights.denoiser!;
    const free = { ...model, denoiser: { ...model.denoiser!, config }, weights: { ...model.weights, denoiser } };
    const options = { backend, seeds: [1], sampler: ddim({ steps: 3 }), clip: false };
    const plain = await collect(sample(free, { ...options, guidance: { classifierScale: 0 } }));
    const steered = await collect(sample(free, { ...options, labels: ["star"], guidance: { classifierScale: 2 } }));
    expect(distance(plain.data, steered.data)).toBeGreaterThan(1e-3);
  });
});

describe("is refused", () => {
  const refused = async (options: Partial<SampleOptions>, from = model): Promise<Error> => {
    const run = collect(sample(from, { backend, seeds: [1], sampler: ddim({ steps: 2 }), ...options }));
    return run.then(
      () => Promise.reject(new Error("it was not refused")),
      (error: Error) => error,
    );
  };

  test("a class that the model lacks", async () => {
    const error = await refused({ labels: ["hexagon"] });
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe('tiny has no class "hexagon"; its classes are circle, square, star');
    expect((await refused({ labels: [3] })).message).toMatch(/no class "3"/);
  });

  test("a model without a denoiser, and a classifier of other noise unless it is off", async () => {
    const { denoiser: _, ...headless } = model;
    expect(await refused({}, headless)).toBeInstanceOf(ModelError);
    const other = {
      ...model,
      classifier: { ...model.classifier!, process: { ...model.classifier!.process, schedule: "linear" as const } },
    };
    expect((await refused({ guidance: { classifierScale: 1 } }, other)).message).toMatch(
      /classifier was trained for schedule "linear"/,
    );
    await collect(
      sample(other, { backend, seeds: [1], sampler: ddim({ steps: 2 }), guidance: { classifierScale: 0 } }),
    );
  });

  test("settings that exclude each other, and empty ones", async () => {
    expect(await refused({ guidance: { gradientAt: "mean" } })).toBeInstanceOf(UsageError);
    expect(await refused({ guidance: { unconditional: true, cfgScale: 2 } })).toBeInstanceOf(UsageError);
    for (const scale of [Number.NaN, Number.POSITIVE_INFINITY, "3" as never])
      for (const name of ["classifierScale", "cfgScale"])
        expect(String(await refused({ guidance: { [name]: scale } }))).toContain(
          `${name} must be a finite number but is ${typeof scale === "string" ? `"${scale}"` : scale}`,
        );
    expect(await refused({ seeds: undefined as never })).toBeInstanceOf(UsageError);
    expect(await refused({ seeds: [] })).toBeInstanceOf(UsageError);
    expect(await refused({ labels: [] })).toBeInstanceOf(UsageError);
    expect(await refused({ batchSize: 0 })).toBeInstanceOf(UsageError);
  });
});

/** What nobody asked for. */
const restOff = { autoguidanceScale: 1, cfgPlusPlus: false, cfgRescale: 0, guidanceSchedule: "constant" };

describe("choices left open", () => {
  test("are the model's own, else those that give good pictures", () => {
    const seeds = [7, 8, 9, 10];
    expect(settle(model, { seeds })).toEqual({
      labels: [0, 1, 2, 0],
      seeds,
      sampler: { kind: "dpm++2m", steps: 10, levels: "karras" },
      guidance: { classifierScale: 0, cfgScale: 2, gradientAt: "x_t", unconditional: false, ...restOff },
      clip: true,
      batchSize: 16,
    });
    const { process } = model.denoiser!;
    const long = { ...model, denoiser: { ...model.denoiser!, process: { ...process, steps: 1000 } } };
    expect(settle(long, { seeds }).sampler).toEqual({ kind: "dpm++2m", steps: 10, levels: "karras" });
    const own = {
      ...long,
      sampling: { sampler: "ddpm", steps: 30, cfgScale: 1.5, unconditionalClassifierScale: 4 } as const,
    };
    expect(settle(own, { seeds })).toMatchObject({
      sampler: { kind: "ddpm", steps: 30 },
      guidance: { classifierScale: 0, cfgScale: 1.5 },
    });
    expect(settle(own, { seeds, guidance: { unconditional: true } }).guidance).toMatchObject({
      classifierScale: 4,
      cfgScale: 1,
    });
  });

  test("a number of steps starts one part below the end of the chain", () => {
    expect(respacingOf(4)).toBe("1,1,1,1");
    expect(respacingOf("ddim25")).toBe("ddim25");
  });
});
