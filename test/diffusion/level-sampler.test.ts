import { describe, expect, test } from "vitest";
import { coefficientsAt, levelSampler, logitNormalTime, logNormalSigma } from "../../src/diffusion/level-sampler.ts";
import { ddpmProcess, edmProcess, flowProcess } from "../../src/diffusion/process-config.ts";
import { normals, uniforms } from "../../src/random.ts";

const flow = flowProcess();
const edm = edmProcess();
const cosine = ddpmProcess({ prediction: "v" });
const count = 20_000;
const draws = { uniforms: () => uniforms(3, 0, count), normals: () => normals(3, 0, count) };
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values: readonly number[]): number => {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
};

describe("uniform", () => {
  test("in the time of the flow", () => {
    const times = levelSampler(flow, "uniform")(draws).map(({ sigma }) => sigma);
    expect(mean(times)).toBeCloseTo(0.5, 2);
    expect(deviation(times)).toBeCloseTo(Math.sqrt(1 / 12), 2);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0.001);
    expect(Math.max(...times)).toBeLessThanOrEqual(1);
  });
  test("in ln(sigma) of edm", () => {
    const logs = levelSampler(edm, "uniform")(draws).map(({ sigma }) => Math.log(sigma));
    const [low, high] = [Math.log(0.002), Math.log(80)];
    expect(mean(logs)).toBeCloseTo((low + high) / 2, 1);
    expect(deviation(logs)).toBeCloseTo((high - low) / Math.sqrt(12), 1);
  });
  test("is not for chains, whose timesteps are picked", () => {
    expect(() => levelSampler(cosine, "uniform")).toThrow(/timestepSampler/);
  });
});

test("log-normal sigma of EDM", () => {
  const levels = levelSampler(edm, logNormalSigma)(draws);
  const logs = levels.map(({ sigma }) => Math.log(sigma));
  expect(mean(logs)).toBeCloseTo(-1.2, 1);
  expect(deviation(logs)).toBeCloseTo(1.2, 1);
  for (const { sigma, timestep } of levels.slice(0, 50)) expect(timestep).toBeCloseTo(250 * Math.log(sigma), 9);
});

test("logit-normal time of the flow", () => {
  const times = levelSampler(flow, logitNormalTime)(draws).map(({ sigma }) => sigma);
  const logits = times.map((t) => Math.log(t / (1 - t)));
  expect(mean(logits)).toBeCloseTo(0, 1);
  expect(deviation(logits)).toBeCloseTo(1, 1);
});

test("between the timesteps of a chain, and never outside of it", () => {
  const levels = levelSampler(cosine, { mean: 0, std: 20 })(draws);
  for (const { alpha, sigma, timestep } of levels) {
    expect(alpha ** 2 + sigma ** 2).toBeCloseTo(1, 9);
    expect(timestep).toBeGreaterThanOrEqual(0);
    expect(timestep).toBeLessThanOrEqual(999);
  }
  expect(levels.some(({ timestep }) => timestep % 1 !== 0)).toBe(true);
});

test("the coefficients of a level are its own", () => {
  const levels = levelSampler(flow, "uniform")({ ...draws, uniforms: () => [0, 0.5] });
  const { alpha, sigma, timestep } = coefficientsAt(flow, levels);
  expect([...timestep.data]).toEqual([1000, 500.5]);
  expect([...alpha.data].map((value) => value.toFixed(6))).toEqual(["0.000000", "0.499500"]);
  expect([...sigma.data].map((value) => value.toFixed(6))).toEqual(["1.000000", "0.500500"]);
});
