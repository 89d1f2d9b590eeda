import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model } from "../../src/checkpoint/model.ts";
import { noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { stepGraph } from "../../src/draw/step-graph.ts";
import { UsageError } from "../../src/errors.ts";
import type { Guidance } from "../../src/guidance/guidances.ts";
import { withoutGuidance } from "../../src/guidance/steps.ts";
import type { NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { samplingSchedule } from "../../src/samplers/levels.ts";
import { type Sampler, solverOf } from "../../src/samplers/sampler.ts";
import { makeSampler } from "../../src/samplers/samplers.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { settleEncoding } from "../../src/sampling/encode.ts";
import { exportGraph } from "../../src/sampling/export.ts";
import { predictorOf } from "../../src/sampling/predictor.ts";
import { collect, type SampleOptions, sample } from "../../src/sampling/sample.ts";
import { settle } from "../../src/sampling/settings.ts";
import { countFlops } from "../../src/tensor/cost.ts";
import { loadedTinyModel, loadedTinyUpsampler } from "../support/tiny-model.ts";

const model = loadedTinyModel();
/** The same model with the numbers of its denoiser disturbed. */
const weak: Model = {
  ...model,
  source: "weak",
  weights: {
    denoiser: Object.fromEntries(
      Object.entries(model.weights.denoiser!).map(([key, array], stream) => {
        const noise = normals(9, stream, array.data.length);
        return [key, { ...array, data: array.data.map((value, i) => value + 0.05 * noise[i]!) }];
      }),
    ),
  },
};

let backend: Backend;
/** Which of the models that were loaded ran, in order; a backend also tries small ones of its own. */
let ran: number[] = [];
/** The same, counting the programs of steps only: with guidance first, where there are both. */
function runs(): number[] {
  const programs = [...new Set(ran)].sort((a, b) => a - b);
  return ran.map((program) => 1 + programs.indexOf(program));
}
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

/** The backend, but it notes what runs. */
function watched(): Backend {
  let loads = 0;
  ran = [];
  return {
    device: backend.device,
    async load(onnx, options) {
      const [loaded, program] = [await backend.load(onnx, options), loads++];
      return {
        run: (inputs, outputs) => {
          if (inputs.has("noise")) ran.push(program);
          return loaded.run(inputs, outputs);
        },
        readState: (names) => loaded.readState(names),
        [Symbol.asyncDispose]: () => loaded[Symbol.asyncDispose](),
      };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const options = { labels: ["star", "circle"], seeds: [3, 4], sampler: ddim({ steps: 6 }) };
const draw = (guidance: Guidance, more: Partial<SampleOptions> = {}): Promise<NDArray<"float32">> =>
  collect(sample(model, { ...options, backend: watched(), guidance, ...more }));
const distance = (a: NDArray<"float32">, b: NDArray<"float32">): number =>
  Math.max(...Array.from(a.data, (value, i) => Math.abs(value - b.data[i]!)));

describe("an interval of noise levels", () => {
  const both = { cfgScale: 3, classifierScale: 1 };
  const process = model.denoiser!.process;
  /** sigma / alpha at each step, from the schedule itself. */
  const ratios = Array.from(noiseSchedule(process, "1,1,1,1,1,1").tables.alpha, (alpha) =>
    Math.sqrt(1 / alpha ** 2 - 1),
  ).reverse();
  const interval = [1.01 * ratios[4]!, 1.01 * ratios[1]!] as const;

  const alone = costs({ cfgScale: 1, classifierScale: 0 }).plain;
  /** Operations of a step inside the interval, and of one outside. */
  function costs(guidance: Guidance): { guided: number; plain: number } {
    const given = guidance.autoguidanceScale === undefined ? {} : { weakModel: weak };
    const run = settle(model, { ...options, ...given, guidance: { ...guidance, guidanceInterval: interval } });
    const solver = solverOf(run.sampler, samplingSchedule(process, run.sampler));
    const cost = (guidance: typeof run.guidance): number => {
      const drawn = predictorOf(model, { ...run, guidance }, { weakModel: weak });
      return countFlops([...stepGraph({ ...drawn, solver, batchSize: 2, labelled: true }).outputs.values()]);
    };
    return { guided: cost(run.guidance), plain: cost(withoutGuidance(run.guidance)) };
  }

  test("runs a program without guidance outside of it: as often as steps are outside", async () => {
    const limited = await draw({ ...both, guidanceInterval: interval });
    // Above its lower end and up to its upper one: steps 2, 3 and 4.
    const [plain, guided] = [1, 2];
    expect(runs()).toEqual([plain, guided, guided, guided, plain, plain]);
    for (const other of [both, { cfgScale: 1, classifierScale: 0 }])
      expect(distance(limited, await draw(other))).toBeGreaterThan(1e-3);
  });

  test.each([
    ["classifier-free", 2, { cfgScale: 3, classifierScale: 0 }],
    ["autoguidance", 2, { cfgScale: 1, classifierScale: 0, autoguidanceScale: 2 }],
    ["both", 3, { cfgScale: 3, classifierScale: 0, autoguidanceScale: 2 }],
  ] as [string, number, Guidance][])(
    "and that program costs what the denoiser costs alone: %s costs %i times that",
    (_, times, guidance) => {
      const { guided, plain } = costs(guidance);
      expect([guided, plain]).toEqual([times * alone, alone]);
    },
  );
  test("and without the classifier's two passes", () => {
    const { guided, plain } = costs({ cfgScale: 1, classifierScale: 2 });
    expect(guided - plain).toBeGreaterThan(0);
    expect(plain).toBe(alone);
  });

  test("that holds every level, or none, compiles one program and changes nothing", async () => {
    expect(await draw({ ...both, guidanceInterval: [0, 1e6] })).toEqual(await draw(both));
    expect(new Set(runs())).toEqual(new Set([1]));
    expect(await draw({ ...both, guidanceInterval: [1e6, 1e7] })).toEqual(
      await draw({ cfgScale: 1, classifierScale: 0 }),
    );
    expect(new Set(runs())).toEqual(new Set([1]));
  });

  test.each([ddpm({ steps: 6 }), makeSampler("heun", { steps: 4 }), makeSampler("dpm++2m", { steps: 6 })] as Sampler[])(
    "goes with every sampler: $kind",
    async (sampler) => {
      const guidance = { cfgScale: 3, classifierScale: 1 };
      const [all, limited] = [
        await draw(guidance, { sampler }),
        await draw({ ...guidance, guidanceInterval: [0.5, 2] }, { sampler }),
      ];
      expect(new Set(runs()).size).toBe(2);
      expect(distance(all, limited)).toBeGreaterThan(1e-4);
    },
  );
});

describe("a schedule of the scales", () => {
  test("of a constant factor is another scale, for every kind of guidance", async () => {
    const twice = await draw({ cfgScale: 1.5, classifierScale: 0.5, guidanceSchedule: [2] });
    expect(distance(twice, await draw({ cfgScale: 2, classifierScale: 1 }))).toBeLessThan(1e-4);
    const auto = await draw({ cfgScale: 1, autoguidanceScale: 1.5, guidanceSchedule: [2] }, { weakModel: weak });
    expect(distance(auto, await draw({ cfgScale: 1, autoguidanceScale: 2 }, { weakModel: weak }))).toBeLessThan(1e-4);
  });

  test("asks nothing of guidance where its factor is 0", async () => {
    const late = await draw({ cfgScale: 3, guidanceSchedule: [0, 0, 0, 1, 1, 2] });
    expect(runs()).toEqual([1, 1, 1, 2, 2, 2]);
    const reversed = await draw({ cfgScale: 3, guidanceSchedule: [2, 1, 1, 0, 0, 0] });
    expect(distance(late, reversed)).toBeGreaterThan(1e-3);
    await draw({ cfgScale: 3, guidanceSchedule: "linear" });
    expect(runs()).toEqual([1, 2, 2, 2, 2, 2]);
    expect(await draw({ cfgScale: 3, guidanceSchedule: "constant" })).toEqual(await draw({ cfgScale: 3 }));
  });

  test("goes on where a picture enters the chain late", async () => {
    const x0 = { dtype: "float32", shape: [2, 1, 8, 8], data: new Float32Array(128).fill(0.2) } as const;
    const start = { kind: "picture", x0, strength: 0.5 } as const;
    await draw({ cfgScale: 3, guidanceSchedule: [0, 0, 0, 1, 1, 0] }, { start });
    expect(runs()).toEqual([1, 1, 2]);
  });
});

describe("autoguidance", () => {
  test("by the model itself changes nothing, by another one it does", async () => {
    const plain = await draw({ cfgScale: 1 });
    expect(distance(plain, await draw({ autoguidanceScale: 3 }, { weakModel: model }))).toBeLessThan(1e-4);
    const guided = await draw({ autoguidanceScale: 3 }, { weakModel: weak });
    expect(distance(plain, guided)).toBeGreaterThan(1e-2);
    // Between the two models lies the weak one alone.
    expect(
      distance(
        await draw({ autoguidanceScale: 0 }, { weakModel: weak }),
        await collect(sample(weak, { ...options, backend, guidance: { cfgScale: 1 } })),
      ),
    ).toBeLessThan(1e-4);
  });

  test("takes the place of classifier-free guidance unless both are asked for", () => {
    expect(settle(model, { ...options, weakModel: weak }).guidance).toMatchObject({
      cfgScale: 1,
      autoguidanceScale: 2,
    });
    expect(settle(model, { ...options, weakModel: weak, guidance: { cfgScale: 2 } }).guidance).toMatchObject({
      cfgScale: 2,
      autoguidanceScale: 2,
    });
  });

  test("needs a weak model of the same pictures and noise", () => {
    const run = (weak: Model | undefined) => () =>
      settle(model, { ...options, ...(weak && { weakModel: weak }), guidance: { autoguidanceScale: 2 } });
    expect(run(undefined)).toThrow(/needs a weak model/);
    expect(run(loadedTinyUpsampler())).toThrow(
      /large: a weak model draws the same pictures .* images \[1, 16, 16\] enlarged/,
    );
    const { denoiser: record } = model;
    expect(run({ ...weak, denoiser: { ...record!, process: { ...record!.process, schedule: "linear" } } })).toThrow(
      /weak: .* linear schedule, T = 20, and tiny for .* cosine schedule, T = 20/,
    );
    const { denoiser: _, ...without } = weak;
    expect(run(without)).toThrow(/weak: the weak model has no denoiser/);
  });
});

describe("the memory of momentum", () => {
  const apg = { apgEta: 1, apgThreshold: 0 };
  /** The pictures that are expected at each step. */
  async function steps(guidance: Guidance): Promise<NDArray<"float32">[]> {
    const all: NDArray<"float32">[] = [];
    for await (const { x0 } of sample(model, { ...options, backend: watched(), clip: false, guidance })) all.push(x0);
    return all;
  }
  test("is empty at the first step, counts from the second, and waits where there is no guidance", async () => {
    const without = await steps({ cfgScale: 3, ...apg });
    const withMomentum = await steps({ cfgScale: 3, ...apg, apgMomentum: -0.5 });
    expect(distance(without[0]!, withMomentum[0]!)).toBeLessThan(1e-5);
    expect(distance(without[1]!, withMomentum[1]!)).toBeGreaterThan(1e-3);

    const schedule = [1, 0, 1, 1, 1, 1];
    const paused = await steps({ cfgScale: 3, ...apg, guidanceSchedule: schedule });
    const remembered = await steps({ cfgScale: 3, ...apg, apgMomentum: -0.5, guidanceSchedule: schedule });
    expect(distance(paused[1]!, remembered[1]!)).toBeLessThan(1e-5);
    expect(distance(paused[2]!, remembered[2]!)).toBeGreaterThan(1e-3);
  });
});

test("every other option changes the pictures, with every sampler that takes it", async () => {
  const guidances: [Guidance, Sampler[]][] = [
    [
      { cfgScale: 3, apgEta: 0, apgThreshold: 1 },
      [ddim({ steps: 4 }), ddpm({ steps: 4 }), makeSampler("heun", { steps: 3 })],
    ],
    [{ cfgScale: 3, cfgRescale: 0.7 }, [ddim({ steps: 4 }), ddpm({ steps: 4 }), makeSampler("dpm++2m", { steps: 4 })]],
    [{ cfgScale: 0.6, cfgPlusPlus: true }, [ddim({ steps: 4 }), ddim({ steps: 4, eta: 0.5 })]],
  ];
  for (const [guidance, samplers] of guidances)
    for (const sampler of samplers) {
      const { cfgScale } = guidance;
      const changed = distance(await draw(guidance, { sampler }), await draw({ cfgScale }, { sampler }));
      expect(changed, `${JSON.stringify(guidance)} ${sampler.kind}`).toBeGreaterThan(1e-3);
      expect(changed).toBeLessThan(Infinity);
    }
});

describe("settings that make no sense are refused", () => {
  const heun = makeSampler("heun", { steps: 3 });
  test.each([
    [
      { guidanceInterval: [2, 1] },
      /guidanceInterval must be two finite noise levels, .* 0 <= low < high, but is \[2, 1\]/,
    ],
    [{ guidanceInterval: [0, Infinity] }, /finite/],
    [{ guidanceSchedule: [] }, /at least one factor/],
    [{ cfgPlusPlus: true }, /CFG\+\+ changes the step of ddim, but the sampler is heun/, heun],
    [{ cfgPlusPlus: true, guidanceSchedule: "linear" }, /itself a schedule/],
    [{ cfgPlusPlus: true, cfgScale: 3 }, /from 0 \(no class\) to 1 but it is 3/],
    [{ unconditional: true, cfgRescale: 0.7 }, /both are off here/],
    [{ unconditional: true, apgEta: 0 }, /both are off here/],
  ] as [Guidance, RegExp, Sampler?][])("%j", (guidance, message, sampler = options.sampler) => {
    expect(() => settle(model, { ...options, guidance, sampler })).toThrow(message);
    expect(() => settle(model, { ...options, guidance, sampler })).toThrow(UsageError);
  });

  test("where guidance has to be the same at every step", () => {
    const images = { dtype: "float32", shape: [1, 1, 8, 8], data: new Float32Array(64) } as const;
    expect(() => settleEncoding(model, { images, guidance: { guidanceInterval: [1, 2] } })).toThrow(
      /encode: .*same at every step/,
    );
    const run = settle(model, { ...options, guidance: { guidanceSchedule: "cosine" } });
    expect(() => exportGraph(model, { what: "step", batchSize: 1, run })).toThrow(/export: .*same at every step/);
  });

  test("but one end of a series of scales is not", () => {
    expect(settle(model, { ...options, guidance: { cfgScale: 1, cfgRescale: 0.7 } }).guidance.cfgRescale).toBe(0.7);
  });
});
