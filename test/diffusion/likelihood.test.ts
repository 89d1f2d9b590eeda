import { expect, test } from "vitest";
import { discretizedLogLikelihood, normalKl, priorBpd, vbTerm } from "../../src/diffusion/likelihood.ts";
import { trainingLoss } from "../../src/diffusion/losses.ts";
import { coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { predict } from "../../src/diffusion/prediction.ts";
import { qSample } from "../../src/diffusion/process.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { gradients } from "../../src/tensor/gradient.ts";
import { compute } from "../support/compute.ts";

const config = ddpmProcess({ steps: 100, variance: "learned-range" });
const chain = noiseSchedule(config);
const random = (stream: number, ...shape: number[]) =>
  float32(
    shape,
    normals(
      5,
      stream,
      shape.reduce((a, b) => a * b),
    ),
  );

test("KL of normals against numerical integration", async () => {
  const scalars = {
    m1: float32([1], [0.3]),
    l1: float32([1], [-0.5]),
    m2: float32([1], [-0.4]),
    l2: float32([1], [0.7]),
  };
  const { kl } = await compute(scalars, ({ m1, l1, m2, l2 }) => ({
    kl: normalKl({ mean: m1, logVariance: l1 }, { mean: m2, logVariance: l2 }),
  }));
  const logDensity = (x: number, mean: number, log: number) =>
    -0.5 * (Math.log(2 * Math.PI) + log + (x - mean) ** 2 / Math.exp(log));
  let integral = 0;
  for (let x = -12; x < 12; x += 1e-3) {
    const q = logDensity(x, 0.3, -0.5);
    integral += Math.exp(q) * (q - logDensity(x, -0.4, 0.7)) * 1e-3;
  }
  expect(kl!.data[0]).toBeCloseTo(integral, 6);
});

test("the 256 values of a discretized normal have probability 1 in all", async () => {
  const x = float32(
    [1, 256],
    Float32Array.from({ length: 256 }, (_, k) => k / 127.5 - 1),
  );
  const { p } = await compute({ x, mean: float32([1, 1], [0.9]), log: float32([1, 1], [-3]) }, ({ x, mean, log }) => ({
    p: discretizedLogLikelihood(x, { mean, logVariance: log }).exp().sum(),
  }));
  expect(p!.data[0]).toBeCloseTo(1, 6);
});

test("the prior term vanishes as the chain forgets the image, and is its KL to the standard normal", async () => {
  const x0 = random(0, 1, 4);
  const { bpd } = await compute({ x0 }, ({ x0 }) => ({ bpd: priorBpd(x0, noiseSchedule(config, "10,0,0,0")) }));
  const { alpha, sigma } = noiseSchedule(config, "10,0,0,0").tables;
  const [a, s] = [alpha.at(-1)!, sigma.at(-1)!];
  const nats = x0.data.reduce((sum, x) => sum + (s ** 2 + (a * x) ** 2 - 1 - 2 * Math.log(s)) / 2, 0) / 4;
  expect(bpd!.data[0]).toBeCloseTo(nats / Math.LN2, 6);
});

test("a network that knows the noise, at the posterior's variance, has a term of zero", async () => {
  const indices = [1, 50, 99];
  const values = { x0: random(1, 3, 2, 3, 3), noise: random(2, 3, 2, 3, 3), c: coefficients(chain, indices) };
  const { vb } = await compute(values, ({ x0, noise, c }) => {
    const xt = qSample(x0, noise, c);
    return { vb: vbTerm(predict(noise, xt, c, { ...config, variance: "fixed-small" }), x0, xt, c) };
  });
  for (const term of Array.from(vb!.data)) expect(term).toBeCloseTo(0, 6);
});

test("the hybrid loss teaches the mean by the squared error alone and the variance by the bound alone", async () => {
  const values = {
    x0: random(3, 3, 1, 2, 2),
    noise: random(4, 3, 1, 2, 2),
    output: random(5, 3, 2, 2, 2),
    c: coefficients(chain, [0, 10, 90]),
  };
  const ours = await compute(values, ({ x0, noise, output, c }) => {
    const images = { x0, noise, xt: qSample(x0, noise, c) };
    const gradient = (loss: ReturnType<typeof trainingLoss>["loss"]) => gradients(loss.sum(), { output }).output;
    const hybrid = trainingLoss(output, images, c, chain, { loss: "hybrid", vlbWeight: 1 });
    return {
      hybrid: gradient(hybrid.loss),
      mse: gradient(hybrid.mse!),
      vb: gradient(hybrid.vb!),
      bound: gradient(trainingLoss(output, images, c, chain, { loss: "vlb", vlbWeight: 1 }).loss),
    };
  });
  const [hybrid, mse, vb, bound] = [ours.hybrid!, ours.mse!, ours.vb!, ours.bound!].map(({ data }) => Array.from(data));
  hybrid!.forEach((g, i) => {
    const isMean = Math.floor(i / 4) % 2 === 0;
    expect(g).toBeCloseTo(isMean ? mse![i]! : bound![i]!, 12);
    if (isMean) expect(vb![i]).toBe(0);
  });
  expect(bound!.some((g, i) => Math.floor(i / 4) % 2 === 0 && g !== 0)).toBe(true);
});
