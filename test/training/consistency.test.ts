import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { earlierRatio, type Trajectories } from "../../src/diffusion/consistency.ts";
import { coefficientsAt } from "../../src/diffusion/level-sampler.ts";
import { noiseRange } from "../../src/diffusion/noise-level.ts";
import { predict } from "../../src/diffusion/prediction.ts";
import { ddpmProcess, edmProcess, flowProcess, studentProcess } from "../../src/diffusion/process-config.ts";
import { draw } from "../../src/draw/draw.ts";
import { denoiserPredictor } from "../../src/guidance/predictor.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { compile } from "../../src/runtime/compile.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { samplingSchedule } from "../../src/samplers/levels.ts";
import { consistency } from "../../src/samplers/solvers/consistency.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { collect } from "../../src/sampling/sample.ts";
import { constant, type Tensor } from "../../src/tensor/tensor.ts";
import { specsOf, trace } from "../../src/tensor/trace.ts";
import { trajectoryPairs } from "../../src/training/consistency/trajectory-pairs.ts";
import { tuningPairs } from "../../src/training/consistency/tuning-pairs.ts";
import { trained } from "../../src/training/events.ts";
import type { Tensors } from "../../src/training/step/adamw.ts";
import { type ConsistencyBatch, consistencyLoss, consistencyTask } from "../../src/training/tasks/consistency.ts";
import { train } from "../../src/training/train.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend();
});
afterAll(() => backend[Symbol.asyncDispose]());

/*
 * Images of pixels N(m, s^2), each by itself. The probability flow is dz / dr = (z - E[x0 | z]) / r with E[x0 | z] = m + s^2 / (s^2 + r^2) (z - m),
 * so z - m grows as sqrt(s^2 + r^2), and the consistency function is f(z, r) = m + s (z - m) / sqrt(s^2 + r^2).
 */
const [m, s] = [0.4, 0.3] as const;
const process = studentProcess(edmProcess());
const sigmaData = 0.5;

/**
 * f as the network of EDM's preconditioning: f = skip z + out F, where F sees z / sqrt(r^2 + sigmaData^2) and r as 250 ln r. Its parameters
 * are m and s.
 */
const exactNetwork = (params: Tensors, input: Tensor, t: Tensor): Tensor => {
  const r = t
    .mul(1 / 250)
    .exp()
    .reshape(-1, 1, 1, 1);
  const variance = r.square().add(sigmaData ** 2);
  const z = input.mul(variance.sqrt());
  const [mean, deviation] = [params.m!.reshape(1, 1, 1, 1), params.s!.reshape(1, 1, 1, 1)];
  const f = z.sub(mean).mul(deviation).div(deviation.square().add(r.square()).sqrt()).add(mean);
  return f.sub(z.mul(variance.reciprocal().mul(sigmaData ** 2))).div(r.mul(sigmaData).div(variance.sqrt()));
};
const weights = (mean: number, deviation: number) => ({ m: float32([1], [mean]), s: float32([1], [deviation]) });

const shape = [1, 2, 2];
/** The flow in closed form. */
function exactTrajectories(count: number, steps: number, block: number): Trajectories {
  const levels = [...samplingSchedule(edmProcess(), ddim({ steps, levels: "karras" })).levels].reverse();
  const end = normals(3, block, count * 4).map((z) => m + s * z);
  const at = (r: number) => end.map((x0) => m + ((x0 - m) * Math.sqrt(s ** 2 + r ** 2)) / s);
  const all = [count, ...shape];
  return { levels, x: levels.map(({ sigma }) => float32(all, at(sigma))), end: float32(all, end) };
}

async function lossOf(batch: ConsistencyBatch, of: ReturnType<typeof weights>): Promise<number[]> {
  const loss = consistencyLoss({ network: exactNetwork, process });
  const graph = trace({ params: specsOf(of), batch: specsOf(batch) }, ({ params, batch }) =>
    loss(params, batch as never),
  );
  await using program = await compile(graph, backend);
  const { objective } = await program.run({ params: of, batch });
  return Array.from(objective.data);
}

describe("pairs of a teacher's trajectories", () => {
  const source = { size: 16, block: async (index: number) => exactTrajectories(16, 60, index) };
  const pairsAt = trajectoryPairs({ process, source, batchSize: 24, uses: 3, seed: 5 });

  test("the exact consistency function has no loss, another one has", async () => {
    const batch = await pairsAt(3);
    // What remains is that the flow is not quite straight between the levels; at the levels themselves it is rounding.
    for (const value of await lossOf(batch, weights(m, s))) expect(value).toBeLessThan(2e-3);
    const wrong = await lossOf(batch, weights(m, 0.2));
    expect(wrong.reduce((a, b) => a + b, 0) / wrong.length).toBeGreaterThan(0.05);
  });

  test("a quarter begins at the top, where every drawing does; the others lie between", async () => {
    const { sigma } = (await trajectoryPairs({ process, source, batchSize: 4000, uses: 1e4, seed: 1 })(1)).coefficients;
    const top = sigma.data.filter((value) => value === 80).length / 4000;
    expect(Math.abs(top - 0.25)).toBeLessThan(0.03);
    expect(Math.min(...sigma.data)).toBeGreaterThanOrEqual(0.002);
  });

  test("each block is drawn once, and a step gives the same whenever it is asked", async () => {
    const asked: number[] = [];
    const block = (index: number) => {
      asked.push(index);
      return source.block(index);
    };
    const counting = { size: 16, block };
    const pairs = trajectoryPairs({ process, source: counting, batchSize: 24, uses: 3, seed: 5 });
    const [first, second] = [await pairs(1), await pairs(2)];
    expect(await pairs(3)).not.toEqual(first);
    expect(asked).toEqual([0, 1]);
    expect(await pairs(1)).toEqual(first);
    expect(await pairs(2)).toEqual(second);
    expect(asked).toEqual([0, 1, 0]);
  });

  test("training finds mean and deviation of the data, of pairs alone", async () => {
    const task = consistencyTask({ network: exactNetwork, process, weights: weights(0, 1), pairsAt });
    const run = { backend, steps: 400, learningRate: 0.02, decay: "cosine", emaRate: 0.9 } as const;
    const found = await trained(train(task, run));
    expect(found.m!.data[0]).toBeCloseTo(m, 2);
    expect(found.s!.data[0]).toBeCloseTo(s, 2);
  });
});

describe("consistency tuning", () => {
  test("r is 0 at first, then nears t: by the formula of the paper", () => {
    expect(earlierRatio(3, 0)).toBe(0);
    // n(t) = 1 + 8 sigmoid(-t): 5 at t = 0, 1 where t is large.
    expect(earlierRatio(1e-9, 2)).toBe(0);
    expect(earlierRatio(50, 1)).toBeCloseTo(25, 9);
    expect(earlierRatio(50, 4)).toBeCloseTo(50 * (1 - 1 / 16), 9);
    expect(earlierRatio(1, 5)).toBeCloseTo(1 - (1 + 8 / (1 + Math.E)) / 32, 12);
  });

  test("images that are all one colour: that colour has no loss at any stage, another one has", async () => {
    const steps = 60;
    const batchAt = () => ({
      x: float32([32, ...shape], new Float32Array(128).fill(m)),
      y: { dtype: "int32" } as never,
    });
    const pairs = tuningPairs({ process, batchAt, steps, stages: 5, seed: 2 });
    for (const step of [1, 30, 60]) {
      const batch = await pairs(step);
      const isPicture = batch.isPicture!.data;
      if (step === 1) expect(isPicture.every((value) => value === 1)).toBe(true);
      else expect(isPicture.some((value) => value === 0)).toBe(true);
      // f is the colour wherever it is asked: deviation 0, or so little that nothing divides by it.
      const right = await lossOf(batch, weights(m, 1e-9));
      for (const [i, value] of right.entries()) expect(value / batch.weight.data[i]!).toBeLessThan(1e-4);
      const wrong = await lossOf(
        { ...batch, isPicture: float32([32], new Float32Array(32).fill(1)) },
        weights(0, 1e-9),
      );
      expect(Math.max(...wrong)).toBeGreaterThan(0.1);
    }
  });
});

describe("the sampler of students", () => {
  const student = (params: Tensors) => (x: Tensor, t: Tensor) => exactNetwork(params, x, t);
  const own = { m: constant(float32([1], [m])), s: constant(float32([1], [s])) };
  test.each([1, 2, 4])("%i steps of the exact function give mean and deviation of the data", async (steps) => {
    const count = 3000;
    const events = draw({
      predictor: () => denoiserPredictor(student(own), process),
      process,
      sampler: consistency({ steps }),
      shape: [1, 1, 1],
      count,
      batchSize: count,
      backend,
    });
    const { data } = await collect(events);
    const mean = data.reduce((a, b) => a + b, 0) / count;
    const deviation = Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count);
    // Four deviations of each, of 3000 draws.
    expect(Math.abs(mean - m)).toBeLessThan((4 * s) / Math.sqrt(count));
    expect(Math.abs(deviation - s)).toBeLessThan((4 * s) / Math.sqrt(2 * count));
  });

  test("one step begins at the most noise, and no step at the least", () => {
    for (const [steps, levels] of [
      [1, "karras"],
      [2, "karras"],
      [3, "geometric"],
      [1, "chain"],
      [2, "chain"],
    ] as const) {
      const all = samplingSchedule(process, consistency({ steps, levels })).levels;
      expect(all).toHaveLength(steps);
      expect(all.at(-1)!.sigma).toBeCloseTo(80, 9);
      expect(all[0]!.sigma).toBeGreaterThan(0.03);
    }
  });

  test("denoisers and students each have their samplers", () => {
    const drawn = (sampler: Parameters<typeof draw>[0]["sampler"], process: Parameters<typeof draw>[0]["process"]) =>
      collect(draw({ predictor: () => denoiserPredictor(student(own), process), process, sampler, shape, count: 1 }));
    return Promise.all([
      expect(drawn(consistency(), edmProcess())).rejects.toThrow("is for students"),
      expect(drawn(ddim(), process)).rejects.toThrow("use the sampler consistency"),
    ]);
  });
});

describe("the process of a student", () => {
  test.each([ddpmProcess(), ddpmProcess({ schedule: "linear" }), flowProcess(), edmProcess()])(
    "$schedule: where there is next to no noise, the image of any network is x itself",
    async (teacher) => {
      const process = studentProcess(teacher);
      const range = noiseRange(process);
      const level = range.at(range.lowest);
      const schedule = samplingSchedule(process, consistency({ steps: 1 }));
      expect(schedule.config).toEqual(process);
      const inputs = { x: float32([1, ...shape], [1, -1, 0.5, 0]), c: coefficientsAt(process, [level]) };
      const graph = trace(specsOf(inputs), ({ x, c }) => ({ x0: predict(x.mul(0).add(3), x, c as never, process).x0 }));
      await using program = await compile(graph, backend);
      const { x0 } = await program.run(inputs as never);
      for (const [i, value] of Array.from(x0.data).entries())
        expect(Math.abs(value - inputs.x.data[i]!)).toBeLessThan(5 * range.lowest);
    },
  );
});
