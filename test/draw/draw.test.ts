import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scheduleOfLevels } from "../../src/diffusion/noise-schedule.ts";
import { epsFromX0, perImage } from "../../src/diffusion/process.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { draw } from "../../src/draw/draw.ts";
import { RuntimeFailure, UsageError } from "../../src/errors.ts";
import { classifierFree } from "../../src/guidance/kinds/classifier-free.ts";
import { denoiserPredictor, type Predictor } from "../../src/guidance/predictor.ts";
import { scorePredictor } from "../../src/guidance/score-network.ts";
import { float32, type NDArray } from "../../src/ndarray.ts";
import { linear } from "../../src/nn/layers.ts";
import { module } from "../../src/nn/module.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { samplingSchedule } from "../../src/samplers/levels.ts";
import { defineSampler } from "../../src/samplers/sampler.ts";
import { plainPlan } from "../../src/samplers/solver.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { heun } from "../../src/samplers/solvers/heun.ts";
import { collect } from "../../src/sampling/sample.ts";
import type { Labels, Tensor } from "../../src/tensor/tensor.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const process = ddpmProcess();
const shape = [2, 1, 1];
const fewSteps = { process, sampler: ddim({ steps: 4 }), shape };
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

/** Knows the image already: x0, whatever x_t is. */
const answering =
  (x0: (xt: Tensor, label?: Labels) => Tensor): Predictor =>
  (xt, c, { label }) => {
    const image = x0(xt, label);
    const each = (values: Tensor): Tensor => perImage(values, xt);
    return {
      x0: image,
      eps: epsFromX0(xt, image, c),
      variance: each(c.posteriorVariance),
      logVariance: each(c.posteriorLogVariance),
    };
  };
const everywhere = (xt: Tensor, value: Tensor | number): Tensor => xt.mul(0).add(value);

describe("draws", () => {
  test("with the score of a normal distribution, where its probability flow leads", async () => {
    // Points ~ N(mean, std^2): the flow keeps z = (x_t - alpha mean) / sqrt(alpha^2 std^2 + sigma^2), so it ends at mean + std z.
    const [mean, std] = [0.3, 0.5];
    const sampler = heun({ steps: 150 });
    const predictor = scorePredictor((x, sigma) => {
      const variance = sigma.square().add(std ** 2);
      return x.sub(mean).div(perImage(variance, x)).neg();
    }, process);
    const { data } = await collect(
      draw({
        predictor: () => predictor,
        process,
        sampler,
        shape,
        seeds: [3, 8, 20],
        backend,
      }),
    );
    const { alpha, sigma } = samplingSchedule(process, sampler).levels.at(-1)!;
    const start = [3, 8, 20].flatMap((seed) => Array.from(normals(seed, 0, 2), (z) => z * Math.hypot(alpha, sigma)));
    const known = start.map((x) => mean + (std * (x - alpha * mean)) / Math.hypot(alpha * std, sigma));
    expect(furthest(data, known)).toBeLessThan(1e-3);
  });

  test("with a network of its own weights, as the same arithmetic in float64", async () => {
    const network = module({ mix: linear(2, 2) }, (layers, x: Tensor) =>
      layers.mix(x.reshape(-1, 2)).reshape(-1, 2, 1, 1),
    );
    const weights = { "mix.weight": float32([2, 2], [0.5, 0.25, -0.25, 0.5]), "mix.bias": float32([2], [0.1, -0.2]) };
    const { data } = await collect(
      draw({
        ...fewSteps,
        weights: { net: weights },
        predictor: ({ net }) => denoiserPredictor((x) => network(net, x), process),
        count: 1,
        backend,
      }),
    );
    const { tables } = samplingSchedule(process, fewSteps.sampler);
    let x = Array.from(normals(0, 0, 2));
    for (let i = 3; i >= 0; i--) {
      const eps = [0.5 * x[0]! + 0.25 * x[1]! + 0.1, -0.25 * x[0]! + 0.5 * x[1]! - 0.2];
      x = x.map((value, axis) => {
        const x0 = (value - tables.sigma[i]! * eps[axis]!) / tables.alpha[i]!;
        return tables.alphaPrevious[i]! * x0 + tables.sigmaPrevious[i]! * eps[axis]!;
      });
    }
    expect(furthest(data, x)).toBeLessThan(1e-4);
  });

  test("with a guidance of one's own, and a guidance of the library around it", async () => {
    const towards =
      (target: number) =>
      (predictor: Predictor): Predictor =>
      (xt, c, condition) => {
        const { x0, ...prediction } = predictor(xt, c, condition);
        const moved = x0.add(target).mul(0.5);
        return { ...prediction, x0: moved, eps: epsFromX0(xt, moved, c) };
      };
    // The image is the label; the null label 5 means 0. Halfway to 1, and three times as far from what no class gives.
    const told = answering((xt, label) => everywhere(xt, perImage(label!.cast("float32"), xt)).mul(label ? 1 : 0));
    const predictor = () => classifierFree(towards(1)(told), { scale: 3, nullLabel: 5 });
    const { data } = await collect(draw({ ...fewSteps, predictor, labels: [2, 4], count: 2, backend }));
    const image = (label: number): number => (label + 1) / 2;
    const guided = [2, 4].flatMap((label) => {
      const value = image(5) + 3 * (image(label) - image(5));
      return [value, value];
    });
    expect(furthest(data, guided)).toBeLessThan(1e-5);
  });

  test("with a sampler of one's own, its memory and its numbers", async () => {
    // Adds up what it is told at each step, and ends there.
    const adding = defineSampler({
      kind: "adding",
      note: "adds up",
      settings: {},
      steps: 4,
      levels: "chain",
      solver: (schedule) => ({
        step: (predictor, { x, coefficients, condition, memory, numbers }) => {
          const { x0 } = predictor(x, coefficients, condition);
          const sum = memory!.sum!.add(perImage(numbers!.share!, x).mul(x0));
          return { x: sum, x0, memory: { sum } };
        },
        memory: ["sum"],
        numbers: ["share"],
        plan: plainPlan(schedule, { noisy: false }).map((step, i) =>
          step.map((evaluation) => ({ ...evaluation, numbers: { share: 10 ** -i } })),
        ),
      }),
    });
    const predictor = () => answering((xt) => everywhere(xt, 2));
    const drawing = draw({ process, sampler: adding(), shape, predictor, count: 3, batchSize: 2, backend });
    expect(furthest((await collect(drawing)).data, new Array(6).fill(2.222))).toBeLessThan(1e-5);
  });

  test("down a schedule of one's own", async () => {
    const whole = samplingSchedule(process, { steps: 4 });
    const levels = [whole.levels[0]!, whole.levels[3]!];
    const timesteps: number[] = [];
    const events = draw({
      ...fewSteps,
      schedule: scheduleOfLevels(process, levels),
      scales: ({ timestep }) => {
        timesteps.push(timestep);
        return {};
      },
      predictor: () => answering((xt) => everywhere(xt, 1)),
      count: 1,
      backend,
    });
    expect((await collect(events)).data).toEqual(new Float32Array([1, 1]));
    expect(timesteps).toEqual([levels[1]!.timestep, levels[0]!.timestep]);
  });

  test("with predictors and scales that change from place to place, and what they remember", async () => {
    const places: number[] = [];
    const one = (_: unknown, { scales, memory }: { scales: { s: Tensor }; memory: { past: Tensor } }) =>
      answering((xt) => {
        memory.past = memory.past.mul(10).add(scales.s);
        return everywhere(xt, scales.s);
      });
    const two = (_: unknown, { memory }: { memory: { past: Tensor } }) => answering(() => memory.past);
    const x0s: number[] = [];
    for await (const { x0 } of draw({
      ...fewSteps,
      count: 3,
      batchSize: 2,
      memory: ["past"],
      scales: ({ step, steps, alpha, sigma }) => {
        places.push(alpha ** 2 + sigma ** 2);
        return { s: step + steps };
      },
      predictor: { at: ({ step }) => (step < 4 ? one : two) },
      backend,
    }))
      x0s.push(x0.data.reduce((a, b) => Math.max(a, b)));
    expect(x0s).toEqual([5, 6, 7, 567]);
    expect(furthest(places, [1, 1, 1, 1])).toBeLessThan(1e-6);
  });
});

describe("an image", () => {
  const predictor = () => answering((xt) => xt.mul(0.3).add(0.1));
  const drawn = (seeds: number[], batchSize = 16) =>
    collect(draw({ ...fewSteps, predictor, seeds, batchSize, backend }));

  test("depends on its own seed, not on its batch", async () => {
    const together = await drawn([4, 5, 6, 7, 8], 2);
    expect(together.shape).toEqual([5, 2, 1, 1]);
    for (const [i, seed] of [4, 5, 6, 7, 8].entries())
      expect(furthest(together.data.subarray(2 * i, 2 * i + 2), (await drawn([seed])).data)).toBeLessThan(1e-6);
  });

  test("counts as well as its seed: count 3 is seeds 0, 1, 2", async () => {
    const counted = await collect(draw({ ...fewSteps, predictor, count: 3, backend }));
    expect(counted).toEqual(await drawn([0, 1, 2]));
  });

  test("starts from a picture as late as its strength says", async () => {
    const x0 = float32([1, ...shape], [0.5, -0.5]);
    const seen: number[] = [];
    const events = draw({
      ...fewSteps,
      predictor: () => answering((xt) => everywhere(xt, 1)),
      scales: ({ step }) => {
        seen.push(step);
        return {};
      },
      start: { kind: "picture", x0, strength: 0.5 },
      count: 1,
      backend,
    });
    const steps: string[] = [];
    for await (const { step, steps: all } of events) steps.push(`${step}/${all}`);
    expect(steps).toEqual(["1/2", "2/2"]);
    expect(seen).toEqual([3, 4]);
  });
});

describe("ends", () => {
  test("with the signal's reason, between two steps", async () => {
    const controller = new AbortController();
    let last = 0;
    const run = async (): Promise<void> => {
      const predictor = () => answering((xt) => everywhere(xt, 1));
      for await (const { step } of draw({ ...fewSteps, predictor, count: 1, backend, signal: controller.signal })) {
        last = step;
        if (step === 2) controller.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(last).toBe(2);
  });

  test("where values stop being finite, with the step and how many", async () => {
    const steps: number[] = [];
    const run = async (): Promise<void> => {
      const events = draw({
        ...fewSteps,
        scales: ({ step }) => ({ s: step === 3 ? 1e38 : 1 }),
        // Only images of class 1 are out of bounds.
        predictor: (_, { scales }) =>
          answering((xt, label) => everywhere(xt, scales.s.mul(perImage(label!.cast("float32"), xt)).mul(1e5))),
        labels: [0, 1, 0],
        count: 6,
        source: "mine",
        backend,
      });
      for await (const { step } of events) steps.push(step);
    };
    await expect(run()).rejects.toThrow(
      "mine: step 3 of 4: 4 of 12 values are not finite; the weights overflow or the settings are too strong",
    );
    await expect(run()).rejects.toThrow(RuntimeFailure);
    expect(steps).toEqual([1, 2, 1, 2]);
  });
});

test.each([
  ["seeds and count", { seeds: [1], count: 1 }, /seeds and count both say/],
  ["no seeds", { seeds: [] }, /there are no seeds/],
  ["a count of half an image", { count: 0.5 }, /count must be a whole number from 1 but is 0.5/],
  ["labels that are none", { count: 1, labels: [1.5] }, /labels must be whole numbers from 0 but one is 1.5/],
  ["no labels", { count: 1, labels: [] }, /labels is empty/],
  ["no batch", { count: 1, batchSize: 0 }, /batchSize must be a whole number from 1 but is 0/],
  ["small images for others", { count: 2, lowRes: float32([1, 2, 1, 1]) }, /lowRes must be \[2, 2, h, w\]/],
  [
    "latents for others",
    { count: 2, start: { kind: "latents", x: float32([1, 2, 1, 1]) as NDArray<"float32"> } },
    /\[2, 2, 1, 1\], one for each seed/,
  ],
] as const)("%s: refused", async (_, options, message) => {
  const predictor = () => answering((xt) => xt);
  const drawing = collect(draw({ ...fewSteps, ...options, predictor, backend }));
  await expect(drawing).rejects.toThrow(message);
  await expect(drawing).rejects.toThrow(UsageError);
});
