import { describe, expect, test } from "vitest";
import type { Model } from "../src/checkpoint/model.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import type { NDArray } from "../src/ndarray.ts";
import { onnxFile } from "../src/onnx/file.ts";
import { ddim } from "../src/samplers/solvers/ddim.ts";
import { ddpm } from "../src/samplers/solvers/ddpm.ts";
import { exportGraph } from "../src/sampling/export.ts";
import { type RunOptions, settle } from "../src/sampling/settings.ts";
import { floats, integers, openOnnx } from "../test/support/onnx-file.ts";
import { file, type Noise, referenceModel } from "./support/reference-model.ts";

interface Trajectory extends Noise {
  readonly case: string;
  readonly respacing: string;
  readonly sampler?: "ddpm" | "ddim";
  readonly eta: number;
  readonly classifier_scale: number;
}

const trajectories: Trajectory[] = JSON.parse(file("trajectories.json").toString());

/** An export in plain ONNX Runtime. */
const open = (
  model: Model,
  what: "denoiser" | "classifier-gradient" | "step",
  batch: number,
  options: Partial<RunOptions> = {},
) => {
  const run = settle(model, { seeds: [0], guidance: { cfgScale: 1, classifierScale: 0 }, ...options });
  return openOnnx(onnxFile(exportGraph(model, { what, batchSize: batch, run }), "x.onnx").bytes);
};

/** Largest difference, relative to the largest magnitude that is expected. */
function relativeError(actual: NDArray<"float32">, expected: NDArray<"float32">): number {
  expect(actual.shape).toEqual(expected.shape);
  const largest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest(expected.data.map((value, i) => value - actual.data[i]!)) / largest(expected.data);
}

const tolerance = 1e-4;
const model = referenceModel({ schedule: "linear", steps: 1000 });

/** Inputs and results that the reference recorded for a network. */
function recorded(name: string) {
  const arrays = readNpz(file(`${name}.npz`));
  const numbers = (key: string) => Array.from(arrayOf(arrays, key, "int64").data, Number);
  const values = (key: string) => arrayOf(arrays, key, "float32");
  const x = values("x");
  const count = x.shape[0]!;
  const inputs = {
    x: floats(x.shape, x.data),
    t: floats([count], numbers("t")),
    y: integers([count], numbers("y")),
  };
  return { count, inputs, values };
}

describe("exported files, in plain ONNX Runtime, give the reference's numbers", () => {
  test("the denoiser", async () => {
    const { count, inputs, values } = recorded("unet_adm");
    const denoiser = await open(model, "denoiser", count);
    const { out } = await denoiser.run(inputs);
    expect(relativeError(out!, values("out") as NDArray<"float32">)).toBeLessThan(tolerance);
  });

  test("the classifier's gradient", async () => {
    const { count, inputs, values } = recorded("classifier_attention");
    const gradient = await open(model, "classifier-gradient", count);
    const { log_prob, grad } = await gradient.run(inputs);
    expect(relativeError(log_prob!, values("log_prob") as NDArray<"float32">)).toBeLessThan(tolerance);
    expect(relativeError(grad!, values("grad_log_prob_x") as NDArray<"float32">)).toBeLessThan(tolerance);
  });

  test.each(trajectories.filter(({ sampler }) => sampler))("the step, looped: $case", async (trajectory) => {
    const { case: name, respacing, eta } = trajectory;
    const arrays = readNpz(file("trajectories.npz"));
    const values = (key: string) => arrayOf(arrays, `${name}/${key}`, "float32");
    const [start, noise, expected] = [values("x_T"), values("noise"), values("x")];
    const [count, size] = [start.shape[0]!, start.data.length];
    const step = await open(referenceModel(trajectory), "step", count, {
      sampler: trajectory.sampler === "ddpm" ? ddpm({ steps: respacing }) : ddim({ steps: respacing, eta }),
      guidance: { classifierScale: trajectory.classifier_scale, cfgScale: 1 },
    });
    const y = integers([count], Array.from(arrayOf(arrays, `${name}/y`, "int64").data, Number));
    let x: Float32Array = Float32Array.from(start.data);
    let worst = 0;
    for (let k = 0; k < expected.shape[0]!; k++) {
      const out = await step.run({
        x: floats(start.shape, x),
        noise: floats(start.shape, noise.data.slice(k * size, (k + 1) * size)),
        step: integers([], [k]),
        y,
      });
      x = out.x_next!.data;
      for (const [i, value] of x.entries()) worst = Math.max(worst, Math.abs(value - expected.data[k * size + i]!));
    }
    expect(worst).toBeLessThan(1e-3);
  });
});
