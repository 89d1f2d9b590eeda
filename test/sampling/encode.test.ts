import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model } from "../../src/checkpoint/model.ts";
import { loadModel } from "../../src/checkpoint/model-folder.ts";
import type { ProcessConfig } from "../../src/diffusion/process-config.ts";
import { float32 } from "../../src/ndarray.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import { samplingSchedule } from "../../src/samplers/levels.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { encode, reconstructionErrors } from "../../src/sampling/encode.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

/**
 * The denoiser of images whose pixels are N(0, 1): x_t is N(0, 1) at every level, so v = alpha eps - sigma x_0 is 0 whatever x_t is. The
 * probability flow leaves every image as it is, and each Euler step multiplies it by the cosine of the angle between two levels.
 */
function gaussianModel(changes: Partial<ProcessConfig> = {}): Model {
  const { classifier: _, ...model } = loadedTinyModel();
  const { config, ...record } = model.denoiser!;
  const last = ["out.2.weight", "out.2.bias"];
  const weights = Object.entries(model.weights.denoiser!).map(([name, value]) => [
    name,
    last.includes(name) ? float32(name === "out.2.bias" ? [1] : [1, ...value.shape.slice(1)]) : value,
  ]);
  const process = { ...record.process, steps: 1000, prediction: "v", variance: "fixed-large", ...changes } as const;
  return {
    ...model,
    denoiser: { ...record, config: { ...config, outChannels: 1 }, process },
    weights: { denoiser: Object.fromEntries(weights) },
  };
}

const images = float32([2, 1, 8, 8], normals(1, 0, 128));
const labels = [0, 1];
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe("encoding Gaussian images, whose probability flow is known", () => {
  const model = gaussianModel();
  const latents = (model: Model, steps: number) =>
    collect(encode(model, { images, labels, steps, clip: false, backend }));

  test("is the product of the Euler steps, each once", async () => {
    const { levels } = samplingSchedule(model.denoiser!.process, ddim({ steps: 10 }));
    const angles = levels.map(({ alpha, sigma }) => Math.atan2(sigma, alpha));
    // From the picture, with v = 0 and so eps = sigma x at x = alpha picture: alpha (1 + sigma^2) picture.
    const { alpha, sigma } = levels[0]!;
    const factor = angles
      .slice(1)
      .reduce((product, angle, i) => product * Math.cos(angle - angles[i]!), alpha * (1 + sigma ** 2));
    const { data } = await latents(model, 10);
    expect(factor).toBeLessThan(0.95);
    expect(
      furthest(
        data,
        images.data.map((value) => factor * value),
      ),
    ).toBeLessThan(1e-5);
  });

  test.each([
    ["to the last timestep", {}],
    ["to pure noise", { zeroTerminalSnr: true }],
  ] as const)("and decoding again: the error halves with twice the steps, %s", async (_, changes) => {
    const model = gaussianModel(changes);
    const errors: { there: number; back: number }[] = [];
    for (const steps of [20, 40, 80]) {
      const x = await latents(model, steps);
      const start = { kind: "latents", x } as const;
      const run = { labels, seeds: [0, 1], sampler: ddim({ steps }), clip: false, backend };
      const back = await collect(sample(model, { ...run, start, guidance: { cfgScale: 1, classifierScale: 0 } }));
      errors.push({ there: furthest(x.data, images.data), back: furthest(back.data, images.data) });
    }
    for (const end of ["there", "back"] as const)
      for (const [i, coarse] of errors.slice(0, -1).entries()) {
        const ratio = coarse[end] / errors[i + 1]![end];
        expect(ratio).toBeGreaterThan(1.8);
        expect(ratio).toBeLessThan(2.3);
      }
  });
});

test("digits encoded and decoded come back: three times the steps, less than half the error", async () => {
  const digits = await loadModel("digits");
  const labels = ["3", "5"];
  const images = await collect(sample(digits, { labels, seeds: [1, 2], sampler: ddim({ steps: 15 }), backend }));
  const error = async (steps: number): Promise<number> => {
    const x = await collect(encode(digits, { images, labels, steps, backend }));
    const start = { kind: "latents", x } as const;
    const guidance = { cfgScale: 1 };
    const run = { labels, seeds: [0, 1], sampler: ddim({ steps }), guidance, backend };
    const [a, b] = reconstructionErrors(images, await collect(sample(digits, { ...run, start })));
    return Math.hypot(a!, b!);
  };
  const errors = [await error(10), await error(30), await error(90)];
  expect(errors[1]! / errors[0]!).toBeLessThan(1 / 2);
  expect(errors[2]! / errors[1]!).toBeLessThan(1 / 2);
}, 60_000);
