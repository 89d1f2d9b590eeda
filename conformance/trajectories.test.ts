import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Model, Weights } from "../src/checkpoint/model.ts";
import { arrayOf, readNpz } from "../src/checkpoint/npz.ts";
import { readTorch } from "../src/checkpoint/torch.ts";
import type { ProcessConfig } from "../src/diffusion/chain.ts";
import { configFromReference, type ReferenceConfig } from "../src/models/reference.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { openBackend } from "../src/runtime/node.ts";
import { sample } from "../src/sampling/sample.ts";
import { ddim, ddpm } from "../src/sampling/sampler.ts";

interface Trajectory {
  readonly case: string;
  readonly schedule: ProcessConfig["schedule"];
  readonly steps: number;
  readonly respacing: string;
  readonly sampler: "ddpm" | "ddim";
  readonly eta: number;
  readonly classifier_scale: number;
  readonly rescale_timesteps: boolean;
  readonly clip_denoised: boolean;
}

const file = (name: string) => readFileSync(new URL(`./data/${name}`, import.meta.url));
const trajectories: Trajectory[] = JSON.parse(file("trajectories.json").toString());
const references: Record<string, ReferenceConfig> = JSON.parse(file("networks.json").toString());
const arrays = readNpz(file("trajectories.npz"));
const floats = (name: string) => arrayOf(arrays, name, "float32");

/** The reference's two networks as a model of a process. */
function modelOf({ schedule, steps, rescale_timesteps: rescaleTimesteps }: Trajectory): Model {
  const denoiser = configFromReference(references.unet_adm!);
  const classifier = configFromReference(references.classifier_attention!);
  if (denoiser.kind !== "unet" || classifier.kind !== "classifier") throw new Error("unexpected networks");
  const weights = { denoiser: readTorch(file("unet_adm.pt")), classifier: readTorch(file("classifier_attention.pt")) };
  const process: ProcessConfig = { schedule, steps, rescaleTimesteps, prediction: "eps", variance: "learnedRange" };
  const saved = (values: Weights) => ({ file: "x.safetensors", sha256: "", parameters: Object.keys(values).length });
  return {
    format: "guidestar-model-1",
    source: "reference",
    classes: Array.from({ length: 10 }, (_, label) => `class ${label}`),
    imageShape: [3, 16, 16],
    preprocessing: {},
    denoiser: { config: denoiser.config, process, ...saved(weights.denoiser) },
    classifier: {
      config: classifier.config,
      process: { schedule, steps, rescaleTimesteps },
      ...saved(weights.classifier),
    },
    weights,
  };
}

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
    const events = sample(modelOf(trajectory), {
      backend,
      labels: Array.from(arrayOf(arrays, `${name}/y`, "int64").data, Number),
      seeds: [0, 1],
      sampler: trajectory.sampler === "ddpm" ? ddpm({ steps }) : ddim({ steps, eta }),
      guidance: { classifier: trajectory.classifier_scale, classifierFree: 1 },
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
