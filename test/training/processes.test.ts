import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  coefficientColumns,
  coefficientRow,
  coefficientSpecs,
  coefficients,
  noiseSchedule,
  type ProcessConfig,
} from "../../src/diffusion/noise-schedule.ts";
import { ddpmProcess, edmProcess, flowProcess } from "../../src/diffusion/process-config.ts";
import { denoiserPredictor } from "../../src/guidance/predictor.ts";
import { float32, int32, type NDArray } from "../../src/ndarray.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { linear, silu } from "../../src/nn/layers.ts";
import { module } from "../../src/nn/module.ts";
import { timestepEmbedding } from "../../src/nn/timestep-embedding.ts";
import { integers, normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { ddimStep } from "../../src/samplers/solvers/ddim.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { f32, trace } from "../../src/tensor/trace.ts";
import { trained, type Weights } from "../../src/training/events.ts";
import { type DenoiserOptions, denoiserTask } from "../../src/training/tasks/denoiser.ts";
import { trainDenoiser } from "../../src/training/train.ts";
import { exactImage, type Mixture } from "../support/gaussians.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

/** Points of the plane: two thirds around the first centre, one third around the second. */
const spread = 0.15;
const mixture: Mixture = {
  weights: [2 / 3, 1 / 3],
  means: [
    [-0.6, 0.2],
    [0.5, -0.4],
  ],
  deviations: [spread, spread],
};
const { means: centres, weights: shares } = mixture;

function points(step: number, count: number): NDArray<"float32"> {
  const which = integers(1, step, count, 3);
  const jitter = normals(2, step, 2 * count);
  return float32(
    [count, 2, 1, 1],
    Float32Array.from({ length: 2 * count }, (_, i) => {
      const centre = centres[which[i >> 1]! < 2 ? 0 : 1]!;
      return centre[i % 2]! + spread * jitter[i]!;
    }),
  );
}

const width = 64;
const network = module(
  { time: linear(32, width), first: linear(2, width), middle: linear(width, width), last: linear(width, 2) },
  (layers, x: Tensor, t: Tensor) => {
    const time = layers.time(timestepEmbedding(t, 32));
    const h = silu(layers.first(x.reshape(-1, 2)).add(time));
    return layers.last(silu(layers.middle(h).add(time))).reshape(-1, 2, 1, 1);
  },
);

const batchSize = 128;
const runOf = (process: ProcessConfig, options: Partial<DenoiserOptions>): DenoiserOptions => ({
  network,
  weights: initialize(network, 0),
  process,
  batchAt: (step) => ({ x: points(step, batchSize), y: int32([batchSize]) }),
  loss: "simple",
  seed: 0,
  ...options,
});

async function train(process: ProcessConfig, options: Partial<DenoiserOptions>): Promise<Weights> {
  const events = trainDenoiser({
    ...runOf(process, options),
    backend,
    steps: 1000,
    learningRate: 1e-2,
    decay: "cosine",
    emaRate: 0.99,
  });
  return trained(events);
}

const count = 600;
async function compileStep(process: ProcessConfig, weights: Weights) {
  const graph = trace(
    {
      x: f32(count, 2, 1, 1),
      coefficients: coefficientSpecs(count),
      weights: Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, f32(...shape)])),
    },
    ({ x, coefficients, weights }) => {
      const predictor = denoiserPredictor((xt, t) => network(weights, xt, t), process);
      return {
        guess: predictor(x, coefficients, {}).x0,
        ...ddimStep(predictor, { x, noise: x, coefficients, condition: {} }),
      };
    },
  );
  return compile(graph, backend, { bind: { weights } });
}

const runs: [string, ProcessConfig, Partial<DenoiserOptions>][] = [
  ["v with min-SNR weights", ddpmProcess({ prediction: "v" }), { lossWeight: "min-snr" }],
  ["v down to zero SNR", ddpmProcess({ schedule: "linear", prediction: "v", zeroTerminalSnr: true }), {}],
  ["flow, logit-normal times", flowProcess(), { timesteps: "logit-normal" }],
  ["EDM, log-normal sigma", edmProcess(), { timesteps: "log-normal" }],
];

describe.each(runs)("%s", (_, process, options) => {
  test("learns a known mixture of points", { timeout: 120_000 }, async () => {
    const weights = await train(process, options);
    await using step = await compileStep(process, weights);
    const chain = noiseSchedule(process);

    // What it says of x_t, against what is best to say, at levels where that is neither x_t itself nor the mean of all points.
    for (const ratio of [0.3, 1, 3]) {
      const index = chain.levels.findIndex(({ alpha, sigma }) => sigma / alpha > ratio);
      const { alpha, sigma } = chain.levels[index]!;
      const clean = points(5000, count).data;
      const noise = normals(3, 0, 2 * count);
      const x = float32(
        [count, 2, 1, 1],
        clean.map((value, i) => alpha * value + sigma * noise[i]!),
      );
      const { guess } = await step.run({ x, coefficients: coefficients(chain, new Array<number>(count).fill(index)) });
      let error = 0;
      for (let n = 0; n < count; n++) {
        const best = exactImage(mixture, [x.data[2 * n]! / alpha, x.data[2 * n + 1]! / alpha], sigma / alpha);
        error += (guess.data[2 * n]! - best[0]!) ** 2 + (guess.data[2 * n + 1]! - best[1]!) ** 2;
      }
      // The points themselves have a variance of about 0.2 in each of the two directions.
      expect.soft(error / (2 * count), `squared error at sigma / alpha = ${ratio}`).toBeLessThan(0.01);
    }

    // What is drawn from noise.
    const respaced = noiseSchedule(process, "40");
    const { alpha: a, sigma: s } = respaced.levels.at(-1)!;
    let x = float32(
      [count, 2, 1, 1],
      normals(4, 0, 2 * count).map((z) => Math.hypot(a, s) * z),
    );
    for (let index = 39; index >= 0; index--) {
      const row = coefficientRow(respaced, index);
      ({ x } = await step.run({ x, coefficients: coefficientColumns(new Array(count).fill(row)) }));
    }
    const drawn = Array.from({ length: count }, (_, n) => [x.data[2 * n]!, x.data[2 * n + 1]!] as const);
    const near = centres.map((centre) =>
      drawn.filter(([px, py]) => Math.hypot(px - centre[0], py - centre[1]) < 4 * spread),
    );
    expect(near[0]!.length + near[1]!.length, "points at one of the centres").toBeGreaterThan(0.97 * count);
    expect(Math.abs(near[0]!.length / count - shares[0]!), "share of the first centre").toBeLessThan(0.08);
    for (const [i, centre] of centres.entries()) {
      const squares = near[i]!.map(([px, py]) => ((px - centre[0]) ** 2 + (py - centre[1]) ** 2) / 2);
      const deviation = Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length);
      expect(Math.abs(deviation / spread - 1), `spread around centre ${i}: ${deviation}`).toBeLessThan(0.25);
    }
  });
});

describe("what cannot be trained is refused before it starts", () => {
  const flow = flowProcess();
  test.each([
    [flow, { loss: "vlb" }, /the variational bound .* are about/],
    [flow, { timesteps: "loss-second-moment" }, /the flow schedule has none; draw them uniformly/],
    [ddpmProcess({ prediction: "previous" }), { timesteps: "log-normal" }, /mean of x_\{t-1\} are about/],
    [ddpmProcess({ prediction: "v" }), { timesteps: { mean: 0, std: 0 } }, /std must be above 0 but is 0/],
    [{ ...ddpmProcess(), zeroTerminalSnr: true }, {}, /cannot be found from a predicted eps/],
  ] as [ProcessConfig, Partial<DenoiserOptions>, RegExp][])("%o %o", (process, options, message) => {
    expect(() => denoiserTask(runOf(process, options))).toThrow(message);
  });
});
