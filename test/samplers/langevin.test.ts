import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exactScore, type Mixture } from "../../examples/support/plane.ts";
import { noiseRange } from "../../src/diffusion/noise-level.ts";
import {
  coefficientColumns,
  coefficientSpecs,
  type NoiseSchedule,
  scheduleOfLevels,
} from "../../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { sigmaAt } from "../../src/diffusion/score-matching.ts";
import { scorePredictor } from "../../src/guidance/score-network.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { makeSampler } from "../../src/samplers/samplers.ts";
import type { Evaluation, Solver } from "../../src/samplers/solver.ts";
import { langevin } from "../../src/samplers/solvers/langevin.ts";
import { pc } from "../../src/samplers/solvers/pc.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { full } from "../../src/tensor/tensor.ts";
import { f32, trace } from "../../src/tensor/trace.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const config = ddpmProcess();
const count = 2000;

/** Points [N, 2, 1, 1] by the evaluations of a solver, with the exact score of a mixture as the network. */
async function walk(
  mixture: Mixture,
  solver: Solver,
  evaluations: readonly Evaluation[],
  start: NDArray<"float32">,
): Promise<number[]> {
  const points = f32(...start.shape);
  const specs = {
    x: points,
    noise: points,
    c: coefficientSpecs(count),
    numbers: Object.fromEntries(solver.numbers.map((name) => [name, f32(count)])),
  };
  const graph = trace(specs, ({ x, noise, c, numbers }) => {
    const network = (x: typeof noise, sigma: typeof noise) =>
      exactScore(mixture, x, { alpha: full([count], 1), sigma });
    const predictor = scorePredictor(network, config);
    return { x: solver.step(predictor, { x, noise, coefficients: c, condition: {}, numbers }).x };
  });
  await using program = await compile(graph, backend);
  let x = start;
  for (const [i, { coefficients, numbers }] of evaluations.entries())
    ({ x } = await program.run({
      x,
      noise: float32(start.shape, normals(5, i, 2 * count)),
      c: coefficientColumns(new Array(count).fill(coefficients)),
      numbers: Object.fromEntries(
        solver.numbers.map((name) => [name, float32([count], new Float32Array(count).fill(numbers[name]!))]),
      ),
    }));
  return Array.from(x.data);
}

const noiseOf = (deviation: number): NDArray<"float32"> =>
  float32(
    [count, 2, 1, 1],
    normals(6, 0, 2 * count).map((z) => deviation * z),
  );

/** Noise beside the whole image, geometric; or levels of the cosine schedule with the same ratios. */
function chainOf(process: "edm" | "cosine", range: readonly [number, number], levels: number): NoiseSchedule {
  const sigmas = Array.from({ length: levels }, (_, i) => sigmaAt(range, levels > 1 ? i / (levels - 1) : 0));
  const { at } = noiseRange(config);
  return scheduleOfLevels(
    config,
    sigmas.map((sigma) => (process === "edm" ? { alpha: 1, sigma, timestep: 0 } : at(sigma))),
  );
}

function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

test.each([0.2, 0.4])("Langevin dynamics of step r = %d settles where its recursion says", async (snr) => {
  const mixture: Mixture = { centres: [[0.5, 0.5]], weights: [1], labels: [0], deviation: 0.3 };
  const chain = chainOf("cosine", [0.75, 1], 1);
  const [{ alpha, sigma }] = chain.levels as [(typeof chain.levels)[0]];
  const solver = langevin.solver(chain, { corrections: Math.ceil(6 / snr ** 2), snr });
  const { mean, variance } = moments(await walk(mixture, solver, solver.plan[0]!.slice(0, -1), noiseOf(3)));
  // x' = (1 - q)(x - m) + m + sigma sqrt(2 s) z for a normal distribution of mean m and variance v, with s = 2 r^2 and q = s sigma^2 / v.
  const v = (alpha * 0.3) ** 2 + sigma ** 2;
  const q = (2 * snr ** 2 * sigma ** 2) / v;
  expect(Math.abs(mean - 0.5 * alpha)).toBeLessThan(4 * Math.sqrt(v / (2 * count)));
  expect(Math.abs((variance * (1 - q / 2)) / v - 1)).toBeLessThan(4 * Math.sqrt(2 / (2 * count)));
});

describe("of two distributions far apart, one has a fifth of the points", () => {
  const mixture: Mixture = {
    centres: [
      [-2, -1],
      [2, 1],
    ],
    weights: [0.2, 0.8],
    labels: [0, 1],
    deviation: 0.2,
  };
  const shareOf = (points: readonly number[]): number => points.filter((x, i) => i % 2 === 0 && x < 0).length / count;

  test.each([
    ["annealed Langevin dynamics", langevin, 48, 20],
    ["predictor and corrector", pc, 32, 2],
  ] as const)("%s finds it", async (_, sampler, levels, corrections) => {
    const solver = sampler.solver(chainOf("edm", [0.03, 20], levels), { corrections, snr: 0.25 });
    const points = await walk(mixture, solver, solver.plan.flat(), noiseOf(20));
    const { mean, variance } = moments(points.filter((_, i) => i % 2 === 0 && points[i]! > 0));
    expect(Math.abs(shareOf(points) - 0.2)).toBeLessThan(0.04); // four standard deviations
    expect(Math.abs(mean - 2)).toBeLessThan(0.03);
    expect(Math.abs(Math.sqrt(variance) - 0.2)).toBeLessThan(0.03);
  });

  test.each([langevin, pc])("it does not matter which process $kind goes down", async (sampler) => {
    const points = async (process: "edm" | "cosine"): Promise<number[]> => {
      const chain = chainOf(process, [0.03, 20], 8);
      const { alpha } = chain.levels.at(-1)!;
      const made = sampler.solver(chain, { corrections: 2, snr: 0.25 });
      return walk(mixture, made, made.plan.flat(), noiseOf(20 * alpha));
    };
    const [exploding, cosine] = [await points("edm"), await points("cosine")];
    expect(Math.max(...exploding.map((x, i) => Math.abs(x - cosine[i]!)))).toBeLessThan(1e-3);
  });

  test("without annealing, points go to what is nearest: half of them. Figure 3, Song & Ermon 2019", async () => {
    const solver = langevin.solver(chainOf("edm", [0.03, 20], 1), { corrections: 256, snr: 0.25 });
    const share = shareOf(await walk(mixture, solver, solver.plan.flat(), noiseOf(4)));
    expect(Math.abs(share - 0.5)).toBeLessThan(0.05);
  });
});

describe("as samplers of a model", () => {
  test.each(["langevin", "pc"] as const)("%s draws noise anew for each evaluation", async (kind) => {
    const streams: number[] = [];
    const noise = (seed: number, stream: number, count: number): Float32Array => {
      streams.push(stream);
      return normals(seed, stream, count);
    };
    const sampler = makeSampler(kind, { steps: 3, corrections: 4 });
    const { data } = await collect(sample(loadedTinyModel(), { seeds: [1], sampler, backend, noise }));
    expect(data.every(Number.isFinite)).toBe(true);
    // One to start with; each correction; of pc each step but the last, which ends at the picture.
    expect(new Set(streams).size).toBe(streams.length);
    expect(streams).toHaveLength(kind === "langevin" ? 1 + 3 * 4 : 1 + 2 + 2 * 4);
  });

  test("settings out of range, or of other samplers, are refused", () => {
    expect(() => makeSampler("pc", { corrections: 0 })).toThrow(/corrections must be a whole number from 1 to 1000/);
    expect(() => makeSampler("langevin", { snr: 1 })).toThrow(/snr must be a number above 0 and below 1 but is 1/);
    expect(() => makeSampler("ddim", { snr: 0.1 })).toThrow(/snr belongs to langevin, pc, but the sampler is ddim/);
    expect(() => makeSampler("pc", { eta: 0.1 })).toThrow(
      /eta belongs to ddim, dpm\+\+2m-sde, sa-solver, but the sampler is pc/,
    );
  });
});
