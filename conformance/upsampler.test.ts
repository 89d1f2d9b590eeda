import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import type { SuperResolutionConfig } from "../src/models/adm/config.ts";
import { superResUnet } from "../src/models/adm/super-resolution.ts";
import { float32, int32 } from "../src/ndarray.ts";
import { parameterShapes } from "../src/nn/module.ts";
import { normals } from "../src/random.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import { ddpm } from "../src/samplers/solvers/ddpm.ts";
import { sample } from "../src/sampling/sample.ts";
import { f32, i32, trace } from "../src/tensor/trace.ts";
import { file, referenceModel } from "./support/reference-model.ts";

const arrays = readNpz(file("unet_superres.npz"));
const floats = (key: string) => {
  const { shape, data } = arrayOf(arrays, key, "float32");
  return float32(shape, data);
};
const integers = (key: string) => Array.from(arrayOf(arrays, key, "int64").data, Number);
const upsampler = (steps: number) => referenceModel({ schedule: "linear", steps }, "unet_superres");
const config = upsampler(1000).denoiser!.config as SuperResolutionConfig;
const parameters = upsampler(1000).weights.denoiser!;
const [x, lowRes, out, t, y] = [floats("x"), floats("low_res"), floats("out"), integers("t"), integers("y")];

const largest = (values: Iterable<number>): number =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const difference = (a: Float32Array, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return largest(a.map((value, i) => value - b[i]!));
};

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

describe("the upsampler unet_superres", () => {
  test("has the reference's parameters, in its order", () => {
    expect(Object.entries(parameterShapes(superResUnet(config)))).toEqual(
      Object.entries(parameters).map(([key, { shape }]) => [key, shape]),
    );
  });

  test("computes the reference's output", async () => {
    const network = superResUnet(config);
    const specs = {
      ...{ x: f32(...x.shape), t: f32(2), lowRes: f32(...lowRes.shape), y: i32(2) },
      parameters: Object.fromEntries(Object.entries(parameters).map(([key, { shape }]) => [key, f32(...shape)])),
    };
    const graph = trace(specs, ({ x, t, lowRes, y, parameters }) => ({
      out: network(parameters, x, t, { lowRes, label: y }),
    }));
    await using program = await compile(graph, backend, { bind: { parameters } });
    const result = await program.run({ x, t: float32([2], t), lowRes, y: int32([2], y) });
    expect(difference(result.out.data, out.data)).toBeLessThan(1e-4 * largest(out.data));
  });

  test("sampling steps from the reference's output as DDPM's formulas say", async () => {
    // The last timestep of a chain is where sampling starts, so a chain that ends at this image's timestep starts with its output.
    const image = 1;
    const steps = t[image]! + 1;
    const of = ({ data }: { data: Float32Array }, count: number) => data.slice(image * count, (image + 1) * count);
    const count = 3 * 16 * 16;
    const events = sample(upsampler(steps), {
      backend,
      labels: [y[image]!],
      seeds: [5],
      clip: false,
      sampler: ddpm({ steps: String(steps) }),
      lowRes: float32([1, 3, 8, 8], of(lowRes, 3 * 8 * 8)),
      noise: (seed, stream, length) => (stream === 0 ? of(x, count) : normals(seed, stream, length)),
    });
    const { value: first } = await events.next();
    await events.return();

    // Ho et al. 2020, equations 7, 11 and 15; the log variance interpolated as in Nichol & Dhariwal 2021, equation 15.
    const beta = (i: number) => (1000 / steps) * (1e-4 + (i * (0.02 - 1e-4)) / (steps - 1));
    let before = 1;
    for (let i = 0; i < steps - 1; i++) before *= 1 - beta(i);
    const last = beta(steps - 1);
    const now = before * (1 - last);
    const [start, noise, output] = [of(x, count), normals(5, 1, count), of(out, 2 * count)];
    const x0 = Array.from(start, (value, i) => (value - Math.sqrt(1 - now) * output[i]!) / Math.sqrt(now));
    const expected = Array.from(start, (value, i) => {
      const mean = (Math.sqrt(before) * last * x0[i]! + Math.sqrt(1 - last) * (1 - before) * value) / (1 - now);
      const share = (output[count + i]! + 1) / 2;
      const logVariance = share * Math.log(last) + (1 - share) * Math.log((last * (1 - before)) / (1 - now));
      return mean + Math.exp(logVariance / 2) * noise[i]!;
    });
    expect(first!.step).toBe(1);
    expect(difference(first!.x0.data, x0)).toBeLessThan(1e-4 * largest(x0));
    expect(difference(first!.x.data, expected)).toBeLessThan(1e-4);
  });
});
