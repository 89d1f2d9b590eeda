import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { openBackend } from "../src/runtime/node.ts";
import { ddim } from "../src/samplers/solvers/ddim.ts";
import { ddpm } from "../src/samplers/solvers/ddpm.ts";
import { sample } from "../src/sampling/sample.ts";
import { file, type Noise, referenceModel } from "./support/reference-model.ts";

interface Trajectory extends Noise {
  readonly case: string;
  readonly respacing: string;
  readonly sampler: "ddpm" | "ddim";
  readonly eta: number;
  readonly classifier_scale: number;
  readonly clip_denoised: boolean;
}

const trajectories: Trajectory[] = JSON.parse(file("trajectories.json").toString());
const arrays = readNpz(file("trajectories.npz"));
const floats = (name: string) => arrayOf(arrays, name, "float32");

describe("whole guided runs equal the reference's, noise given", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openBackend();
  });
  afterAll(() => backend[Symbol.asyncDispose]());

  test.each(trajectories.filter(({ sampler }) => sampler))("$case", async (trajectory) => {
    const name = trajectory.case;
    const [start, noise, expected] = [floats(`${name}/x_T`), floats(`${name}/noise`), floats(`${name}/x`)];
    const { respacing: steps, eta } = trajectory;
    const size = start.data.length;
    const events = sample(referenceModel(trajectory), {
      backend,
      labels: Array.from(arrayOf(arrays, `${name}/y`, "int64").data, Number),
      seeds: [0, 1],
      sampler: trajectory.sampler === "ddpm" ? ddpm({ steps }) : ddim({ steps, eta }),
      guidance: { classifierScale: trajectory.classifier_scale, cfgScale: 1 },
      clip: trajectory.clip_denoised,
      noise: (image, step, count) =>
        step === 0
          ? start.data.slice(image * count, (image + 1) * count)
          : noise.data.slice((step - 1) * size + image * count, (step - 1) * size + (image + 1) * count),
    });
    const errorAt = (actual: Float32Array, expected: Float32Array): number =>
      actual.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0);
    let count = 0;
    let worst = 0;
    let last = Number.NaN;
    for await (const { step, steps, x, x0 } of events) {
      count = step;
      expect(steps).toBe(expected.shape[0]);
      worst = Math.max(worst, errorAt(x.data, expected.data.subarray((step - 1) * size, step * size)));
      last = errorAt(x0.data, floats(`${name}/pred_xstart_last`).data);
    }
    expect(count).toBe(expected.shape[0]);
    expect(worst).toBeLessThan(1e-3);
    expect(last).toBeLessThan(1e-3);
  });
});
