import { describe, expect, test } from "vitest";
import {
  type CoefficientName,
  type Coefficients,
  coefficients,
  noiseSchedule,
} from "../../src/diffusion/noise-schedule.ts";
import { perImage } from "../../src/diffusion/process.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { type GuidanceOptions, type GuidedModel, guide } from "../../src/guidance/guide.ts";
import type { Denoiser } from "../../src/guidance/predictor.ts";
import { float32, int32, type NDArray } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import { ddimStep } from "../../src/samplers/solvers/ddim.ts";
import { oneHot } from "../../src/tensor/functions.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { compute, expectClose } from "../support/compute.ts";
import { exactClassifier, exactDenoiser, labels, nullLabel } from "../support/mixture.ts";

const process = ddpmProcess();
const chain = noiseSchedule(process, "20");
const indices = [1, 5, 10, 15];
const c = coefficients(chain, indices);
const label = int32([4], [0, 1, 1, 0]);
type Numbers = { readonly data: ArrayLike<number> };

/** The numbers of a coefficient in float64, as the interpreter sees them. */
const numbersOf = (name: CoefficientName): number[] => Array.from(c[name].data);

/** The best denoiser of images of independent N(centre, deviation^2), in closed form. */
const gaussian =
  (centre: number, deviation: number, c: Coefficients): Denoiser =>
  (x) => {
    const [alpha, sigma] = [perImage(c.alpha, x), perImage(c.sigma, x)];
    const variance = alpha.mul(deviation).square().add(sigma.square());
    return x.sub(alpha.mul(centre)).mul(sigma).div(variance);
  };

test("autoguidance leads to p_1 (p_1 / p_0)^(scale - 1), a normal distribution where both are", async () => {
  const x = float32([4, 1, 1, 1], normals(3, 0, 4));
  const [scale, strong, weak] = [2.5, { centre: 0.4, deviation: 0.3 }, { centre: 0.1, deviation: 0.6 }];
  const run = (scale: number) =>
    compute({ x, c }, ({ x, c }) => {
      const network = (p: typeof strong) => ({ denoiser: gaussian(p.centre, p.deviation, c), process });
      const model = { ...network(strong), weakModel: network(weak) };
      const { eps, x0 } = guide(model, { form: "score", clip: false, autoguidanceScale: scale })(x, c, {});
      return { eps, back: x0.mul(perImage(c.alpha, x)).add(eps.mul(perImage(c.sigma, x))), x };
    });
  const [guided, off] = [await run(scale), await run(1)];
  for (const [n, alpha] of numbersOf("alpha").entries()) {
    const sigma = numbersOf("sigma")[n]!;
    const at = (p: typeof strong) => ({
      centre: alpha * p.centre,
      precision: 1 / ((alpha * p.deviation) ** 2 + sigma ** 2),
    });
    const [one, zero] = [at(strong), at(weak)];
    const precision = scale * one.precision - (scale - 1) * zero.precision;
    const centre = (scale * one.precision * one.centre - (scale - 1) * zero.precision * zero.centre) / precision;
    const eps = (centre: number, precision: number) => sigma * precision * (x.data[n]! - centre);
    expect(guided.eps!.data[n]!).toBeCloseTo(eps(centre, precision), 6);
    expect(off.eps!.data[n]!).toBeCloseTo(eps(one.centre, one.precision), 6);
    expect(guided.back!.data[n]!).toBeCloseTo(guided.x!.data[n]!, 6);
  }
});

test("autoguidance around classifier-free guidance leads from the weak conditional prediction through the guided one", async () => {
  const x = float32([4, 1, 1, 1], normals(5, 0, 4));
  const eps = async (options: Partial<GuidanceOptions>) => {
    const { eps } = await compute({ x, label, c }, ({ x, label, c }) => {
      // Its errors grow with x, and not with the label.
      const weak = { process, denoiser: (...[x, t, y]: Parameters<Denoiser>) => exactDenoiser(c)(x, t, y).mul(0.8) };
      const model = { denoiser: exactDenoiser(c), process, nullLabel, weakModel: weak };
      return { eps: guide(model, { form: "score", clip: false, ...options })(x, c, { label }).eps };
    });
    return Array.from(eps!.data);
  };
  const [told, free] = [await eps({}), await eps({ cfgScale: 3 })];
  const both = await eps({ cfgScale: 3, autoguidanceScale: 2 });
  for (const [n, value] of both.entries()) {
    const weak = 0.8 * told[n]!;
    expect(value).toBeCloseTo(weak + 2 * (free[n]! - weak), 6);
  }
});

describe("CFG++", () => {
  const x = float32([4, 1, 1, 1], normals(4, 0, 4));
  const zero = float32([4, 1, 1, 1]);
  const step = async (options: Partial<GuidanceOptions>, scales?: NDArray<"float32">) => {
    const inputs = { x, zero, label, c, scales: scales ?? float32([4]) };
    const next = await compute(inputs, ({ x, zero: noise, label, c, scales: each }) => {
      const model = { denoiser: exactDenoiser(c), classifier: exactClassifier(c), process, nullLabel };
      const traced = scales ? { cfgScale: 2, scales: { cfgScale: each } } : {};
      const predictor = guide(model, { form: "score", clip: false, ...options, ...traced });
      return ddimStep(predictor, { x, noise, coefficients: c, condition: { label } });
    });
    return { x: next.x as Numbers & { shape: number[] }, x0: next.x0 as Numbers & { shape: number[] } };
  };

  test.each([0.6, 1])("a DDIM step by lambda %f is one by lambda r / (r - r'), r = sigma / alpha", async (lambda) => {
    const [alpha, sigma, alphaNext, sigmaNext] = (["alpha", "sigma", "alphaPrevious", "sigmaPrevious"] as const).map(
      numbersOf,
    );
    const scales = indices.map((_, n) => {
      const [before, after] = [sigma![n]! / alpha![n]!, sigmaNext![n]! / alphaNext![n]!];
      return (lambda * before) / (before - after);
    });
    const ours = await step({ cfgPlusPlus: true, cfgScale: lambda });
    const theirs = await step({}, float32([4], scales));
    expectClose(ours.x, theirs.x, 1e-5, "x");
    // But the image that is expected is mixed by lambda itself.
    const expected = await step({ cfgScale: lambda });
    expectClose(ours.x0, expected.x0, 1e-6, "x0");
  });

  test("by 0 it is unconditional sampling", async () => {
    const free = await step({ unconditional: true });
    expectClose((await step({ cfgPlusPlus: true, cfgScale: 0 })).x, free.x, 1e-6, "x");
  });

  test("a classifier moves it as it moves unconditional sampling", async () => {
    const moved = async (options: Partial<GuidanceOptions>) => {
      const [before, after] = [await step(options), await step({ ...options, classifierScale: 1.5 })];
      return { shape: [4, 1, 1, 1], data: Array.from(after.x.data, (value, n) => value - before.x.data[n]!) };
    };
    const expected = await moved({ unconditional: true });
    expectClose(await moved({ cfgPlusPlus: true, cfgScale: 0.6 }), expected, 1e-6, "change of x");
  });
});

describe("images of several pixels", () => {
  const shape = [4, 1, 2, 3];
  const x = float32(shape, normals(6, 0, 24));
  const momentum = float32(shape, normals(6, 1, 24));
  const pixels = (array: Numbers, n: number): number[] => Array.from(array.data).slice(n * 6, n * 6 + 6);
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const plus = (a: number[], b: number[], factor = 1): number[] => a.map((value, i) => value + factor * b[i]!);

  /** A denoiser that answers with smooth functions of x: another one for each class and for none. */
  const denoiser: Denoiser = (x, _, { label }) => {
    const y = label!.cast("float32").reshape(-1, 1, 1, 1);
    return x.mul(y.add(1)).sin().add(y.mul(0.3));
  };

  async function run(options: Partial<GuidanceOptions>, remembers = false) {
    const ours = await compute({ x, label, c, momentum }, ({ x, label, c, momentum }) => {
      const memory = { average: momentum };
      const predict = (more: Partial<GuidanceOptions>) =>
        guide({ denoiser, process, nullLabel }, { form: "score", clip: false, ...more })(x, c, { label });
      const { x0, eps } = predict({ ...options, ...(remembers && { memory }) });
      const [plain, none, linear] = [predict({}), predict({ unconditional: true }), predict({ cfgScale: 3 })];
      const v = (p: { x0: Tensor; eps: Tensor }) => p.eps.mul(perImage(c.alpha, x)).sub(p.x0.mul(perImage(c.sigma, x)));
      const back = x0.mul(perImage(c.alpha, x)).add(eps.mul(perImage(c.sigma, x)));
      return {
        x0,
        back,
        x,
        plain: plain.x0,
        none: none.x0,
        average: memory.average,
        linear: linear.x0,
        v: v({ x0, eps }),
        vPlain: v(plain),
        vLinear: v(linear),
      };
    });
    const together = (name: string) => ours[name]!;
    expectClose(together("back"), together("x"), 1e-6, "alpha x0 + sigma eps");
    return (name: string, n: number): number[] => pixels(ours[name]!, n);
  }
  const apg = ({ eta = 0, threshold = 0, momentum = 0 }): Partial<GuidanceOptions> => ({
    cfgScale: 3,
    apgEta: eta,
    apgThreshold: threshold,
    apgMomentum: momentum,
  });
  const closeTo = (actual: number[], expected: number[]): void => {
    const most = Math.max(1, ...expected.map(Math.abs));
    for (const [i, value] of expected.entries()) expect(Math.abs(actual[i]! - value) / most).toBeLessThan(1e-6);
  };

  test("projected guidance with eta 1 is classifier-free guidance", async () => {
    const of = await run(apg({ eta: 1 }));
    for (const n of indices.keys()) closeTo(of("x0", n), of("linear", n));
  });

  test.each([0, 0.4])("what it adds with eta %f is orthogonal to the image but for that share", async (eta) => {
    const of = await run(apg({ eta }));
    for (const n of indices.keys()) {
      const [plain, difference] = [of("plain", n), plus(of("plain", n), of("none", n), -1)];
      const along = dot(difference, plain) / dot(plain, plain);
      const orthogonal = plus(difference, plain, -along);
      expect(dot(orthogonal, plain)).toBeCloseTo(0, 6);
      const update = plus(orthogonal, plain, eta * along);
      closeTo(of("x0", n), plus(plain, update, 2));
    }
  });

  test("the threshold shortens long differences and leaves short ones", async () => {
    const lengths = await run(apg({ eta: 1 }));
    const length = (n: number): number => Math.sqrt(dot(lengths("x0", n), lengths("x0", n)));
    const differences = indices.map((_, n) => plus(lengths("plain", n), lengths("none", n), -1));
    const norms = differences.map((d) => Math.sqrt(dot(d, d)));
    const threshold = (Math.min(...norms) + Math.max(...norms)) / 2;
    expect(norms.some((norm) => norm < threshold) && length(0) > 0).toBe(true);
    const of = await run(apg({ eta: 1, threshold }));
    for (const [n, d] of differences.entries())
      closeTo(of("x0", n), plus(of("plain", n), d, 2 * Math.min(1, threshold / norms[n]!)));
  });

  test("momentum adds a share of the differences before, and remembers the sum", async () => {
    const of = await run(apg({ eta: 1, momentum: -0.5 }), true);
    for (const n of indices.keys()) {
      const difference = plus(of("plain", n), of("none", n), -1);
      const sum = plus(difference, pixels(momentum, n), -0.5);
      closeTo(of("average", n), sum);
      closeTo(of("x0", n), plus(of("plain", n), sum, 2));
    }
  });

  const deviation = (values: number[]): number => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  };
  test.each([1, 0.7])("rescaling by phi = %f gives v that much of the spread of the unguided one", async (phi) => {
    const of = await run({ cfgScale: 3, cfgRescale: phi });
    for (const n of indices.keys()) {
      const [plain, linear] = [deviation(of("vPlain", n)), deviation(of("vLinear", n))];
      expect(Math.abs(plain / linear - 1)).toBeGreaterThan(0.05);
      closeTo(
        of("v", n),
        of("vLinear", n).map((value) => value * (phi * (plain / linear) + 1 - phi)),
      );
    }
  });
});

describe("options that make no sense together are refused", () => {
  const network = { denoiser: (x: Tensor) => x, process, nullLabel };
  const model: GuidedModel = {
    ...network,
    weakModel: network,
    classifier: (x) => oneHot(labels(0, x.shape[0]!), 2),
  };
  test.each([
    [{ cfgRescale: 1.5, cfgScale: 2 }, /cfgRescale must be a number from 0 to 1 but is 1.5/],
    [{ apgThreshold: -1, cfgScale: 2 }, /apgThreshold must be a number of at least 0 but is -1/],
    [{ cfgPlusPlus: true, cfgScale: 2 }, /scale from 0 \(no class\) to 1 but it is 2/],
    [{ cfgPlusPlus: true, cfgScale: 0.5, apgEta: 0 }, /nothing to take back/],
    [{ cfgPlusPlus: true, cfgScale: 0.5, cfgRescale: 0.5 }, /nothing to take back/],
    [{ cfgPlusPlus: true, cfgScale: 0.5, unconditional: true }, /choose one/],
    [{ cfgPlusPlus: true, cfgScale: 0.5, autoguidanceScale: 2 }, /not from a weak model/],
    [{ cfgScale: 2, autoguidanceScale: 2, apgMomentum: -0.5 }, /use apgMomentum 0/],
  ] as [Partial<GuidanceOptions>, RegExp][])("%o", (options, message) => {
    expect(() => guide(model, { form: "score", ...options })).toThrow(message);
  });
  test("autoguidance without a weak model", () => {
    expect(() => guide(network, { form: "score", autoguidanceScale: 2 })).toThrow(/needs a weak model/);
  });
});
