import { describe, expect, test } from "vitest";
import { coefficients, noiseSchedule, type ProcessConfig } from "../../src/diffusion/noise-schedule.ts";
import { clipX0, predict, reverseMean } from "../../src/diffusion/prediction.ts";
import { posteriorMean, qSample } from "../../src/diffusion/process.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { score, shiftScore } from "../../src/diffusion/score.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { compute, expectClose } from "../support/compute.ts";

const shape = [4, 2, 3, 3];
const random = (stream: number) => float32(shape, normals(11, stream, 72));
const config = ddpmProcess({ schedule: "linear" });
const chain = noiseSchedule(config, "20");
const values = { x0: random(0), noise: random(1), c: coefficients(chain, [0, 1, 10, 15]) };

describe.each(["eps", "x0", "previous"] as const)("a network that predicts %s and is right", (prediction) => {
  test("gives the image, the noise and the posterior's mean", async () => {
    const ours = await compute(values, ({ x0, noise, c }) => {
      const xt = qSample(x0, noise, c);
      const truth = { eps: noise, x0, previous: posteriorMean(x0, xt, c) }[prediction];
      const p = predict(truth, xt, c, { ...config, prediction });
      return { eps: p.eps, x0: p.x0, mean: reverseMean(p, xt, c), truth: posteriorMean(x0, xt, c) };
    });
    // Coefficients are float32.
    expectClose(ours.eps!, values.noise, 1e-4, "eps");
    expectClose(ours.x0!, values.x0, 1e-4, "x0");
    expectClose(ours.mean!, ours.truth!, 1e-6, "mean");
  });
});

test("a clipped image and its noise still make x_t", async () => {
  const ours = await compute(values, ({ x0, noise, c }) => {
    const xt = qSample(x0.mul(3), noise, c);
    const p = clipX0(predict(noise, xt, c, config), xt, c);
    return { x0: p.x0, xt, again: qSample(p.x0, p.eps, c) };
  });
  expect(Math.max(...Array.from(ours.x0!.data, Math.abs))).toBe(1);
  expectClose(ours.again!, ours.xt!, 1e-12, "xt");
});

test("a shift moves score, noise and image together", async () => {
  const ours = await compute({ ...values, shift: random(2) }, ({ x0, noise, shift, c }) => {
    const xt = qSample(x0, noise, c);
    const before = predict(noise, xt, c, config);
    const after = shiftScore(before, shift, c);
    return { moved: score(after.eps, c).sub(score(before.eps, c)), shift, xt, again: qSample(after.x0, after.eps, c) };
  });
  expectClose(ours.moved!, ours.shift!, 1e-10, "score");
  expectClose(ours.again!, ours.xt!, 1e-6, "xt");
});

test("the score is the gradient of log q(x_t | x_0)", async () => {
  const ours = await compute(values, ({ x0, noise, c }) => {
    const residual = qSample(x0, noise, c).sub(x0.mul(c.alpha.reshape(-1, 1, 1, 1)));
    return { ours: score(noise, c), closed: residual.div(c.sigma.square().reshape(-1, 1, 1, 1)).neg() };
  });
  expectClose(ours.ours!, ours.closed!, 1e-6, "score");
});

describe("reverse variances", () => {
  const at = async (variance: ProcessConfig["variance"], spread: number) => {
    const output = float32(
      [4, 2, 1, 1],
      Array.from({ length: 8 }, (_, i) => (i % 2 ? spread : 0)),
    );
    const inputs = { x: float32([4, 1, 1, 1]), output, c: values.c };
    const ours = await compute(inputs, ({ x, output, c }) => {
      const learned = variance === "learned" || variance === "learned-range";
      const p = predict(learned ? output : output.slice(1, 0, 1), x, c, { ...config, variance });
      return { variance: p.variance, log: p.logVariance };
    });
    return { variance: Array.from(ours.variance!.data), log: Array.from(ours.log!.data) };
  };
  test("a learned range has the fixed variances at its ends", async () => {
    const large = chain.betas.map(Math.log);
    const { log } = await at("learned-range", 1);
    for (const [n, i] of [0, 1, 10, 15].entries()) expect(log[n]).toBeCloseTo(large[i]!, 5);
    expect((await at("learned-range", -1)).log).toEqual((await at("fixed-small", 0)).log);
  });
  test("a learned variance is the network's own", async () => {
    expect((await at("learned", -2)).variance.map((v) => v.toFixed(12))).toEqual(
      Array(4).fill(Math.exp(-2).toFixed(12)),
    );
  });
  test("fixed variances: beta tilde is 0 at index 0, beta is not", async () => {
    expect((await at("fixed-small", 0)).variance[0]).toBe(0);
    expect((await at("fixed-large", 0)).variance[0]).toBeGreaterThan(0);
  });
});
