import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noiseRatio } from "../../src/diffusion/noise-level.ts";
import { type NoiseSchedule, scheduleOfLevels } from "../../src/diffusion/noise-schedule.ts";
import type { ProcessConfig } from "../../src/diffusion/process-config.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { type GuidanceOptions, guide } from "../../src/guidance/guide.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { samplingSchedule } from "../../src/samplers/levels.ts";
import { guidanceForm, type Sampler, solverOf } from "../../src/samplers/sampler.ts";
import { makeSampler, type SamplerKind } from "../../src/samplers/samplers.ts";
import { follow } from "../support/follow.ts";
import { exactFlow, exactPredictor, type Mixture } from "../support/gaussians.ts";
import { deviation, exactClassifier, exactDenoiser, nullLabel } from "../support/mixture.ts";

const process = ddpmProcess();
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const mixture: Mixture = {
  weights: [0.5, 0.3, 0.2],
  means: [
    [-0.7, -0.5],
    [0.6, -0.4],
    [0.1, 0.8],
  ],
  deviations: [0.3, 0.25, 0.35],
};

/** Levels with the same sigma / alpha as others, for which an image stays as it is, or becomes (1 - t) x0 + t eps. */
const exploding = ({ config, levels }: NoiseSchedule): NoiseSchedule =>
  scheduleOfLevels(
    config,
    levels.map((level) => ({ ...level, alpha: 1, sigma: noiseRatio(level) })),
  );
const flow = ({ config, levels }: NoiseSchedule): NoiseSchedule =>
  scheduleOfLevels(
    config,
    levels.map((level) => ({ ...level, alpha: 1 / (1 + noiseRatio(level)), sigma: 1 / (1 + 1 / noiseRatio(level)) })),
  );

/** Root mean square distance of where a solver ends from the exact solution of the probability flow. */
async function flowError(sampler: Sampler): Promise<number> {
  const chain = samplingSchedule(process, sampler);
  const [top, bottom] = [chain.levels.at(-1)!, chain.levels[0]!];
  const scale = Math.hypot(top.alpha, top.sigma);
  const x = Float64Array.from(normals(3, 0, 2 * points), (value) => scale * value);
  const ends = await follow(solverOf(sampler, chain), { shape: [points, 2, 1, 1], data: x }, () =>
    exactPredictor(mixture),
  );
  let sum = 0;
  for (let n = 0; n < points; n++) {
    const z = [x[2 * n]! / top.alpha, x[2 * n + 1]! / top.alpha];
    const key = `${z} ${noiseRatio(top)} ${noiseRatio(bottom)}`;
    const exact = flows.get(key) ?? exactFlow(mixture, z, noiseRatio(top), noiseRatio(bottom));
    flows.set(key, exact);
    sum += (ends[2 * n]! - exact[0]!) ** 2 + (ends[2 * n + 1]! - exact[1]!) ** 2;
  }
  return Math.sqrt(sum / points);
}
const points = 12;
const flows = new Map<string, number[]>();

describe("the error falls with the steps as the order of the solver says", () => {
  const orders: [Sampler, number, number][] = [
    [makeSampler("ddim", { levels: "karras" }), 0.85, 1.25],
    [makeSampler("euler"), 0.85, 1.25],
    [makeSampler("heun"), 1.8, 2.5],
    [makeSampler("dpm++2m"), 1.8, 2.5],
    // The corrector takes one image more than the predictor, and its order is that of the whole.
    [makeSampler("sa-solver", { order: 1, levels: "karras" }), 1.7, 2.5],
    [makeSampler("sa-solver", { order: 3, levels: "karras" }), 3.2, 4.8],
  ];
  test.each(orders)("%o", async (sampler, least, most) => {
    const [coarse, fine] = [await flowError({ ...sampler, steps: 32 }), await flowError({ ...sampler, steps: 128 })];
    const order = Math.log2(coarse! / fine!) / 2;
    expect(order).toBeGreaterThan(least);
    expect(order).toBeLessThan(most);
  });

  test("second order is worth it at 20 evaluations", async () => {
    const error = (kind: SamplerKind) => flowError(makeSampler(kind, { steps: 20, levels: "karras" }));
    const euler = await error("euler");
    for (const kind of ["dpm++2m", "sa-solver"] as const) expect(await error(kind)).toBeLessThan(euler / 1.5);
  });

  test("with 12 evaluations at the chain's own levels, the corrector of the first order errs least", async () => {
    const error = (kind: SamplerKind, order?: number) =>
      flowError(makeSampler(kind, { steps: 12, levels: "chain", order }));
    const corrected = await error("sa-solver", 1);
    expect(corrected).toBeLessThan((await error("ddim")) / 1.3);
    for (const others of [error("dpm++2m"), error("sa-solver", 3)])
      expect(corrected).toBeLessThan((await others) / 1.3);
  });
});

/** Every sampler, with steps enough for its order. */
const everyone: [string, Sampler][] = [
  ["ddpm", makeSampler("ddpm", { steps: 160, levels: "karras" })],
  ["ddim", makeSampler("ddim", { steps: 80, levels: "karras" })],
  ["ddim, eta 1", makeSampler("ddim", { steps: 160, levels: "karras", eta: 1 })],
  ["euler", makeSampler("euler", { steps: 60 })],
  ["euler, churn 20", makeSampler("euler", { steps: 160, churn: 20 })],
  ["heun", makeSampler("heun", { steps: 20 })],
  ["heun, churn 10", makeSampler("heun", { steps: 30, churn: 10 })],
  ["dpm++2m", makeSampler("dpm++2m", { steps: 24 })],
  ["dpm++2m-sde", makeSampler("dpm++2m-sde", { steps: 48 })],
  ["dpm++2m-sde, eta 0.5", makeSampler("dpm++2m-sde", { steps: 40, eta: 0.5 })],
  ["sa-solver", makeSampler("sa-solver", { steps: 20, levels: "karras" })],
  ["sa-solver, order 3", makeSampler("sa-solver", { steps: 20, order: 3, levels: "karras" })],
  ["sa-solver, eta 1", makeSampler("sa-solver", { steps: 40, eta: 1, order: 2, levels: "karras" })],
];

describe("samples are distributed as the mixture: mean, covariance, and how many belong to each mode", () => {
  const count = 3000;
  const noise = Float64Array.from(normals(11, 0, 2 * count));
  /** Mean, covariance and the share of points nearest to each mode. */
  const statistics = (x: ArrayLike<number>): number[] => {
    const n = x.length / 2;
    const columns = [0, 1].map((axis) => Array.from({ length: n }, (_, i) => x[2 * i + axis]!));
    const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / n;
    const means = columns.map(average);
    const covariance = (a: number, b: number): number =>
      average(columns[a]!.map((value, i) => (value - means[a]!) * (columns[b]![i]! - means[b]!)));
    const nearest = columns[0]!.map((value, i) => {
      const distances = mixture.means.map(([mx, my]) => (value - mx) ** 2 + (columns[1]![i]! - my) ** 2);
      return distances.indexOf(Math.min(...distances));
    });
    const shares = mixture.means.map((_, k) => average(nearest.map((mode) => Number(mode === k))));
    return [...means, covariance(0, 0), covariance(0, 1), covariance(1, 1), ...shares];
  };
  /** Points of the mixture itself, as many of each mode as its weight says: what errs by chance errs little. */
  const drawn = (): number[] => {
    const many = 30_000;
    const numbers = normals(12, 0, 2 * many);
    const modes = mixture.weights.flatMap((weight, k) => new Array<number>(Math.round(weight * many)).fill(k));
    return statistics(
      numbers.map((value, i) => {
        const mode = modes[Math.floor(i / 2)]!;
        return mixture.means[mode]![i % 2]! + mixture.deviations[mode]! * value;
      }),
    );
  };
  const expected = drawn();

  test.each(everyone)("%s", async (_, sampler) => {
    const chain = samplingSchedule(process, sampler);
    const points = { shape: [count, 2, 1, 1], data: noise };
    const solver = solverOf(sampler, chain);
    const actual = statistics(await follow(solver, points, () => exactPredictor(mixture), { backend }));
    // Three or four deviations of a mean of 3000 points, whose own deviation is 0.7 and less.
    for (const [i, value] of expected.entries())
      expect(Math.abs(actual[i]! - value), `statistic ${i}`).toBeLessThan(0.04);
  });
});

describe("every process is the same one, seen at another scale", () => {
  // With the same sigma / alpha all of them go the same way: pictures of the same noise are equal.
  const noise = Float64Array.from(normals(4, 0, 2 * points));
  const ends = (sampler: Sampler, chain: NoiseSchedule): Promise<ArrayLike<number>> => {
    const { alpha, sigma } = chain.levels.at(-1)!;
    const x = { shape: [points, 2, 1, 1], data: noise.map((value) => Math.hypot(alpha, sigma) * value) };
    return follow(solverOf(sampler, chain), x, () => exactPredictor(mixture));
  };
  // What churn adds is bounded by the range of the process itself.
  test.each(everyone.filter(([name]) => !name.includes("churn")))("%s", async (_, sampler) => {
    const chain = samplingSchedule(process, { ...sampler, steps: 12 });
    const preserving = await ends(sampler, chain);
    for (const other of [exploding(chain), flow(chain)])
      for (const [i, value] of Array.from(await ends(sampler, other)).entries())
        expect(value).toBeCloseTo(preserving[i]!, 8);
  });
});

describe("the levels of processes of every kind, also of those that start without any image", () => {
  const base = { steps: 60, variance: "fixed-small", rescaleTimesteps: false } as const;
  const processes: ProcessConfig[] = [
    { ...base, schedule: "linear", prediction: "v", zeroTerminalSnr: true },
    { ...base, schedule: "flow", prediction: "velocity" },
    { ...base, schedule: "edm", prediction: "edm" },
  ];
  const samplers = [
    makeSampler("ddpm", { steps: 60 }),
    makeSampler("euler", { steps: 60, levels: "chain", churn: 5 }),
    makeSampler("heun", { steps: 30, levels: "chain", churn: 3 }),
    makeSampler("heun", { steps: 16 }),
    makeSampler("dpm++2m", { steps: 30, levels: "chain" }),
    makeSampler("dpm++2m-sde", { steps: 40, levels: "chain" }),
    makeSampler("sa-solver", { steps: 20, levels: "chain" }),
    makeSampler("sa-solver", { steps: 30, eta: 1, order: 2, levels: "karras" }),
  ];
  const count = 600;
  const noise = Float64Array.from(normals(21, 0, 2 * count));
  test.each(
    processes.flatMap((process) =>
      samplers.map((sampler) => [process.schedule, sampler.kind, sampler, process] as const),
    ),
  )("%s, %s", async (_, __, sampler, process) => {
    // The text keeps both ends of the chain.
    const steps = sampler.levels === "karras" ? sampler.steps : String(sampler.steps);
    const chain = samplingSchedule(process, { ...sampler, steps });
    const { alpha, sigma } = chain.levels.at(-1)!;
    const x = { shape: [count, 2, 1, 1], data: noise.map((value) => Math.hypot(alpha, sigma) * value) };
    const ends = Array.from(await follow(solverOf(sampler, chain), x, () => exactPredictor(mixture), { backend }));
    for (const axis of [0, 1]) {
      const values = ends.filter((_, i) => i % 2 === axis);
      const mean = values.reduce((a, b) => a + b, 0) / count;
      const square = values.reduce((sum, value) => sum + value ** 2, 0) / count;
      const expected = mixture.weights.map(
        (weight, k) => [weight, mixture.means[k]![axis]!, mixture.deviations[k]!] as const,
      );
      // Four deviations of a mean of 600, or a little more for the second moment.
      expect(Math.abs(mean - expected.reduce((sum, [w, m]) => sum + w * m, 0))).toBeLessThan(0.11);
      expect(Math.abs(square - expected.reduce((sum, [w, m, s]) => sum + w * (m ** 2 + s ** 2), 0))).toBeLessThan(0.11);
    }
  });
});

describe("guidance moves every sampler to the class asked for", () => {
  const count = 300;
  const noise = { shape: [count, 1, 1, 1], data: Float64Array.from(normals(7, 999, count)) };
  const ways: [string, Omit<GuidanceOptions, "form">][] = [
    ["the class is given", {}],
    ["classifier", { unconditional: true, classifierScale: 1 }],
  ];
  test.each(
    everyone.flatMap(([name, sampler]) => ways.map(([way, options]) => [name, way, sampler, options] as const)),
  )("%s, %s", async (_, __, sampler, options) => {
    const chain = samplingSchedule(process, sampler);
    const ends = await follow(
      solverOf(sampler, chain),
      noise,
      (c) => {
        const model = { denoiser: exactDenoiser(c), classifier: exactClassifier(c), process, nullLabel };
        return guide(model, { ...options, form: guidanceForm(sampler), clip: false });
      },
      { label: 1, backend },
    );
    const values = Array.from(ends);
    const mean = values.reduce((a, b) => a + b, 0) / count;
    const spread = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
    expect(Math.abs(mean - 1)).toBeLessThan(0.05);
    expect(Math.abs(spread - deviation)).toBeLessThan(0.04);
  });
});
