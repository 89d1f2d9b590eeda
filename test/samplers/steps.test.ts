import { describe, expect, test } from "vitest";
import { coefficients, noiseSchedule } from "../../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { type GuidanceOptions, guide } from "../../src/guidance/guide.ts";
import { float32, int32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { SolverStep } from "../../src/samplers/solver.ts";
import { ddimReverseStep, ddimStep } from "../../src/samplers/solvers/ddim.ts";
import { ddpmStep } from "../../src/samplers/solvers/ddpm.ts";
import { compute, expectClose } from "../support/compute.ts";
import { deviation, exactClassifier, exactDenoiser, nullLabel } from "../support/mixture.ts";

const process = ddpmProcess();
const count = 400;

/** Every image by a whole chain from noise, with the exact model of the mixture, asked for class 1. */
async function draw(
  step: SolverStep,
  respacing: string,
  options: GuidanceOptions,
  eta = 0,
): Promise<ArrayLike<number>> {
  const chain = noiseSchedule(process, respacing);
  let data: ArrayLike<number> = normals(7, 999, count);
  for (let i = chain.timesteps.length - 1; i >= 0; i--) {
    const inputs = {
      x: float32([count, 1, 1, 1], data),
      noise: float32([count, 1, 1, 1], normals(7, i, count)),
      label: int32([count], new Int32Array(count).fill(1)),
      c: coefficients(chain, Array<number>(count).fill(i), { eta }),
    };
    const { x } = await compute(inputs, ({ x, noise, label, c }) => {
      const model = { denoiser: exactDenoiser(c), classifier: exactClassifier(c), process, nullLabel };
      return { x: step(guide(model, options), { x, noise, coefficients: c, condition: { label } }).x };
    });
    data = x!.data;
  }
  return data;
}

function moments(values: ArrayLike<number>): { mean: number; deviation: number } {
  const mean = Array.from(values).reduce((a, b) => a + b, 0) / values.length;
  const variance = Array.from(values).reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

describe("samples of a mixture of two normals have the mean and the spread of the class asked for", () => {
  const ways: [string, SolverStep, GuidanceOptions, number][] = [
    ["ancestral, class given", ddpmStep, { form: "mean" }, 0],
    ["ancestral, classifier at x_t", ddpmStep, { form: "mean", unconditional: true, classifierScale: 1 }, 0],
    ["ancestral, score shifted", ddpmStep, { form: "score", unconditional: true, classifierScale: 1 }, 0],
    ["DDIM, class given", ddimStep, { form: "score" }, 0],
    ["DDIM, classifier", ddimStep, { form: "score", unconditional: true, classifierScale: 1 }, 0],
    ["DDIM of eta 1, classifier", ddimStep, { form: "score", unconditional: true, classifierScale: 1 }, 1],
  ];
  test.each(ways)("%s", async (_, step, options, eta) => {
    const { mean, deviation: spread } = moments(await draw(step, "60", { ...options, clip: false }, eta));
    expect(Math.abs(mean - 1)).toBeLessThan(0.05);
    expect(Math.abs(spread - deviation)).toBeLessThan(0.05);
  });
});

test("the reverse step undoes the DDIM step, the better the finer the chain", async () => {
  const error = async (respacing: string, index: number): Promise<number> => {
    const chain = noiseSchedule(process, respacing);
    const inputs = {
      x: float32([8, 1, 1, 1], normals(1, 0, 8)),
      noise: float32([8, 1, 1, 1]),
      label: int32([8]),
      here: coefficients(chain, Array<number>(8).fill(index)),
      below: coefficients(chain, Array<number>(8).fill(index - 1)),
    };
    const { there, back } = await compute(inputs, ({ x, noise, label, here, below }) => {
      const predictor = (c: typeof here) =>
        guide({ denoiser: exactDenoiser(c), process }, { form: "score", clip: false });
      const condition = { label };
      const down = ddimStep(predictor(here), { x, noise, coefficients: here, condition });
      const up = ddimReverseStep(predictor(below), { x: down.x, coefficients: below, condition });
      return { there: x, back: up.x };
    });
    return Math.max(...Array.from(there!.data, (v, n) => Math.abs(v - back!.data[n]!)));
  };
  const [coarse, fine] = [await error("20", 10), await error("200", 100)];
  expect(coarse).toBeLessThan(0.1);
  expect(fine).toBeLessThan(coarse / 20);
});

describe("one step", () => {
  const chain = noiseSchedule({ ...process, variance: "fixed-large" }, "20");
  const inputs = {
    x: float32([2, 1, 1, 1], [0.3, -0.2]),
    noise: float32([2, 1, 1, 1], [1, -1]),
    zero: float32([2, 1, 1, 1]),
    label: int32([2], [1, 0]),
    c: coefficients(chain, [0, 10], { eta: 1 }),
  };
  test.each([
    ["ancestral", ddpmStep],
    ["DDIM of eta 1", ddimStep],
  ] as const)("%s adds noise everywhere but at index 0", async (_, step) => {
    const { noisy, plain } = await compute(inputs, ({ x, noise, zero, label, c }) => {
      const predictor = guide({ denoiser: exactDenoiser(c), process: chain.config }, { form: "mean" });
      const run = (noise: typeof x) => step(predictor, { x, noise, coefficients: c, condition: { label } }).x;
      return { noisy: run(noise), plain: run(zero) };
    });
    expect(noisy!.data[0]).toBe(plain!.data[0]);
    const { betas, tables } = chain;
    const variance = step === ddpmStep ? betas[10]! : tables.posteriorVariance[10]!;
    expect(noisy!.data[1]! - plain!.data[1]!).toBeCloseTo(-Math.sqrt(variance), 6);
  });

  test("asks the network and the classifier once, whatever the guidance", async () => {
    let [denoised, classified] = [0, 0];
    await compute(inputs, ({ x, noise, label, c }) => {
      const model = {
        denoiser: (...args: Parameters<ReturnType<typeof exactDenoiser>>) => {
          denoised++;
          return exactDenoiser(c)(...args);
        },
        classifier: (...args: Parameters<ReturnType<typeof exactClassifier>>) => {
          classified++;
          return exactClassifier(c)(...args);
        },
        process,
        nullLabel,
      };
      const predictor = guide(model, { form: "mean", gradientAt: "mean", classifierScale: 2, cfgScale: 3 });
      return ddpmStep(predictor, { x, noise, coefficients: c, condition: { label } });
    });
    expect([denoised, classified]).toEqual([1, 1]);
  });

  test("an image does not see the others of its batch", async () => {
    const options = { form: "score", classifierScale: 2, cfgScale: 3 } as const;
    const run = async (rows: readonly number[]) => {
      const { x } = await compute(
        {
          x: float32(
            [rows.length, 1, 1, 1],
            rows.map((n) => inputs.x.data[n]!),
          ),
          noise: float32(
            [rows.length, 1, 1, 1],
            rows.map((n) => inputs.noise.data[n]!),
          ),
          label: int32(
            [rows.length],
            rows.map((n) => inputs.label.data[n]!),
          ),
          c: coefficients(
            chain,
            rows.map((n) => [0, 10][n]!),
            { eta: 1 },
          ),
        },
        ({ x, noise, label, c }) => {
          const model = {
            denoiser: exactDenoiser(c),
            classifier: exactClassifier(c),
            process: chain.config,
            nullLabel,
          };
          return { x: ddimStep(guide(model, options), { x, noise, coefficients: c, condition: { label } }).x };
        },
      );
      return x!;
    };
    const both = await run([0, 1]);
    for (const n of [0, 1]) expectClose(await run([n]), { shape: [1], data: [both.data[n]!] }, 1e-12, `image ${n}`);
  });
});
