import { describe, expect, test } from "vitest";
import { priorBpd } from "../../src/diffusion/likelihood.ts";
import { noiseRange, noiseRatio } from "../../src/diffusion/noise-level.ts";
import {
  coefficientColumns,
  coefficientRow,
  coefficients,
  noiseSchedule,
  type ProcessConfig,
  scheduleOfLevels,
} from "../../src/diffusion/noise-schedule.ts";
import { predict, targetOf } from "../../src/diffusion/prediction.ts";
import { networkInput, qSample } from "../../src/diffusion/process.ts";
import { edmProcess, flowProcess } from "../../src/diffusion/process-config.ts";
import { score } from "../../src/diffusion/score.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { compute, expectClose } from "../support/compute.ts";

const flow = flowProcess();
const edm = edmProcess({ sigmaData: 0.4 });
const shape = [4, 2, 3, 3];
const random = (stream: number) => float32(shape, normals(17, stream, 72));
const indices = [0, 300, 700, 999];
const values = (config: ProcessConfig) => ({
  x0: random(0),
  noise: random(1),
  c: coefficients(noiseSchedule(config), indices),
});

describe.each([
  flow,
  { ...flow, prediction: "x0" },
  edm,
  { ...edm, prediction: "x0" },
  { ...edm, prediction: "eps" },
] as ProcessConfig[])("a right network of the $schedule schedule that predicts $prediction", (config) => {
  test("tells image, noise and score", async () => {
    const given = values(config);
    const ours = await compute(given, ({ x0, noise, c }) => {
      const xt = qSample(x0, noise, c);
      const p = predict(targetOf({ x0, noise, xt }, c, config), xt, c, config);
      return { x0: p.x0, again: qSample(p.x0, p.eps, c), xt, score: score(p.eps, c) };
    });
    expectClose(ours.x0!, given.x0, 1e-4, "x0");
    expectClose(ours.again!, ours.xt!, 2e-7, "xt"); // coefficients are float32
    const exact = Array.from(given.noise.data, (z, i) => -z / given.c.sigma.data[Math.floor(i / 18)]!);
    expectClose(ours.score!, { shape, data: exact }, 1e-3, "score");
  });
});

describe("flow", () => {
  test("goes straight: a step of DDIM is one of Euler along the velocity", async () => {
    const given = values(flow);
    const ours = await compute(given, ({ x0, noise, c }) => {
      const xt = qSample(x0, noise, c);
      const p = predict(noise.sub(x0), xt, c, flow);
      const ddim = p.x0.mul(c.alphaPrevious.reshape(-1, 1, 1, 1)).add(p.eps.mul(c.sigmaPrevious.reshape(-1, 1, 1, 1)));
      return { ddim, euler: xt.sub(noise.sub(x0).mul(1 / 1000)) };
    });
    expectClose(ours.ddim!, ours.euler!, 1e-6, "x");
  });

  test("ends in pure noise, and every table of its chain is finite", () => {
    for (const chain of [noiseSchedule(flow), noiseSchedule(flow, "20")]) {
      expect(chain.levels.at(-1)).toEqual({ alpha: 0, sigma: 1, timestep: 1000 });
      for (const { alpha, sigma, timestep } of chain.levels) {
        expect(alpha + sigma).toBe(1);
        expect(sigma).toBeCloseTo(timestep / 1000, 12);
      }
      for (const table of Object.values(chain.tables)) expect(table.every(Number.isFinite)).toBe(true);
    }
  });

  test("a level is found by its ratio, pure noise too", () => {
    const range = noiseRange(flow);
    expect(range.at(3)).toEqual({ alpha: 0.25, sigma: 0.75, timestep: 750 });
    expect(range.at(Infinity)).toEqual({ alpha: 0, sigma: 1, timestep: 1000 });
  });
});

describe("EDM", () => {
  const sigmas = [0.002, 0.1, 1, 80];
  const c = coefficientColumns(
    sigmas.map((sigma) => coefficientRow(scheduleOfLevels(edm, [noiseRange(edm).at(sigma)]), 0)),
  );

  test("a network is told 1000 c_noise and sees c_in x, of variance 1", async () => {
    const ours = await compute({ x: random(0), c }, ({ x, c }) => ({ input: networkInput(x, c.timestep, edm) }));
    for (const [n, sigma] of sigmas.entries()) {
      expect(c.timestep.data[n]).toBeCloseTo(250 * Math.log(sigma), 3);
      const scale = ours.input!.data[18 * n]! / random(0).data[18 * n]!;
      expect(scale * Math.hypot(sigma, 0.4)).toBeCloseTo(1, 5);
    }
  });

  test("the best denoiser of Gaussian images is a network of zeros, and of others their own", async () => {
    // E[x_0 | x] of images N(0, d^2) is d^2 / (d^2 + sigma^2) x; its score is -x / (d^2 + sigma^2).
    for (const d of [0.4, 0.1, 2]) {
      const ours = await compute({ x: random(0), zero: float32(shape), c }, ({ x, zero, c }) => {
        const best = x.mul(
          c.sigma
            .square()
            .add(d ** 2)
            .reciprocal()
            .mul(d ** 2)
            .reshape(-1, 1, 1, 1),
        );
        const noise = x.sub(best).div(c.sigma.reshape(-1, 1, 1, 1));
        const p = predict(d === 0.4 ? zero : targetOf({ x0: best, noise, xt: x }, c, edm), x, c, edm);
        return { x0: p.x0, score: score(p.eps, c) };
      });
      const exact = (of: (x: number, sigma: number) => number) => ({
        shape,
        data: Array.from(random(0).data, (x, i) => of(x, c.sigma.data[Math.floor(i / 18)]!)),
      });
      expectClose(
        ours.x0!,
        exact((x, sigma) => (x * d ** 2) / (d ** 2 + sigma ** 2)),
        2e-7, // constants are float32
        "x0",
      );
      expectClose(
        ours.score!,
        exact((x, sigma) => -x / (d ** 2 + sigma ** 2)),
        1e-6,
        "score",
      );
    }
  });

  test("the target has variance 1 at every noise level", async () => {
    const count = 40_000;
    const c4 = Object.fromEntries(Object.entries(c).map(([name, value]) => [name, value])) as typeof c;
    const given = {
      x0: float32(
        [4, count],
        normals(1, 1, 4 * count).map((z) => 0.4 * z),
      ),
      noise: float32([4, count], normals(1, 2, 4 * count)),
      c: c4,
    };
    const { target } = await compute(given, ({ x0, noise, c }) => ({
      target: targetOf({ x0, noise, xt: qSample(x0, noise, c) }, c, edm),
    }));
    for (let n = 0; n < 4; n++) {
      const all = Array.from(target!.data).slice(n * count, (n + 1) * count);
      const variance = all.reduce((sum, value) => sum + value ** 2, 0) / count;
      expect(Math.abs(variance - 1)).toBeLessThan(0.03); // four deviations of the mean of squares
    }
  });

  test("its chain has the noise levels of Karras et al., from 0.002 to 80, or the range that it is given", () => {
    const { levels, tables } = noiseSchedule({ ...edm, steps: 18 });
    const published = (i: number) => (80 ** (1 / 7) + (i / 17) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7;
    for (const [i, { alpha, sigma }] of levels.entries()) {
      expect(alpha).toBe(1);
      expect(sigma / published(17 - i)).toBeCloseTo(1, 10);
    }
    for (const table of Object.values(tables)) expect(table.every(Number.isFinite)).toBe(true);
    const short = noiseSchedule({ ...edm, sigmaRange: [0.01, 10] }).levels;
    expect([short[0]!.sigma, short.at(-1)!.sigma]).toEqual([0.01, 10]);
    expect(noiseRatio(noiseRange(edm).at(3))).toBeCloseTo(3, 12);
  });

  test("a step of its chain is the posterior of a random walk", () => {
    // x_t = x_s + sqrt(t^2 - s^2) z: given x_0 and x_t, x_s is between them, with variance s^2 (t^2 - s^2) / t^2.
    const { tables, levels } = noiseSchedule(edm, "30");
    for (const i of [1, 10, 29]) {
      const [s, t] = [levels[i - 1]!.sigma, levels[i]!.sigma];
      expect(tables.posteriorXt[i]! / (s ** 2 / t ** 2)).toBeCloseTo(1, 9);
      expect(tables.posteriorX0[i]! / (1 - s ** 2 / t ** 2)).toBeCloseTo(1, 9);
      expect(tables.posteriorVariance[i]! / ((s ** 2 * (t ** 2 - s ** 2)) / t ** 2)).toBeCloseTo(1, 9);
    }
  });

  test("the bound's prior is the normal distribution that sampling starts from", async () => {
    const { bpd } = await compute({ x0: random(0) }, ({ x0 }) => ({ bpd: priorBpd(x0, noiseSchedule(edm)) }));
    // KL(N(x, 80^2) || N(0, 80^2 + 1)).
    const variance = 80 ** 2 + 1;
    for (let n = 0; n < 4; n++) {
      const square =
        random(0)
          .data.slice(18 * n, 18 * n + 18)
          .reduce((sum, x) => sum + x ** 2, 0) / 18;
      const nats = 0.5 * (square / variance + 6400 / variance - 1 - Math.log(6400 / variance));
      expect(bpd!.data[n]! / (nats / Math.LN2)).toBeCloseTo(1, 6);
    }
  });
});

test.each([
  [{ ...flow, prediction: "eps" }, /the flow schedule needs a prediction of velocity, x0, but it is eps/],
  [{ ...edm, prediction: "v" }, /the edm schedule needs a prediction of edm, eps, x0, but it is v/],
  [{ ...edm, schedule: "cosine" }, /the cosine schedule needs a prediction of eps, x0, previous, v, but it is edm/],
  [{ ...flow, variance: "learned-range" }, /choose a fixed variance/],
  [{ ...flow, zeroTerminalSnr: true }, /zero terminal SNR is for the linear and the cosine schedule/],
  [{ ...flow, sigmaRange: [1, 2] }, /for the edm schedule; leave them out/],
  [{ ...edm, sigmaRange: [3, 2] }, /two positive numbers, the least one first, but is 3, 2/],
] as [ProcessConfig, RegExp][])("a process that contradicts itself: %o", (config, message) => {
  expect(() => noiseSchedule(config)).toThrow(message);
});
