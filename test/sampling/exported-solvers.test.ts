import { afterAll, beforeAll, expect, test } from "vitest";
import { onnxFile } from "../../src/onnx/file.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { openBackend } from "../../src/runtime/node.ts";
import type { Sampler } from "../../src/samplers/sampler.ts";
import { makeSampler } from "../../src/samplers/samplers.ts";
import { exportGraph } from "../../src/sampling/export.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import { settle } from "../../src/sampling/settings.ts";
import { floats, integers, openOnnx } from "../support/onnx-file.ts";
import { loadedTinyModel } from "../support/tiny-model.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend({ threads: 1 });
});
afterAll(() => backend[Symbol.asyncDispose]());

const seeds = [11, 12];
const shape = [2, 1, 8, 8];
const draw = (stream: number) =>
  floats(
    shape,
    seeds.flatMap((seed) => [...normals(seed, stream, 64)]),
  );

const samplers: [string, Sampler][] = [
  ["heun with churn", makeSampler("heun", { steps: 4, churn: 2 })],
  ["dpm++2m on the chain", makeSampler("dpm++2m", { steps: 5, levels: "chain" })],
  ["dpm++2m-sde", makeSampler("dpm++2m-sde", { steps: 5 })],
  ["sa-solver", makeSampler("sa-solver", { steps: 5, eta: 0.5, order: 3 })],
];

test.each(samplers)(
  "an exported step of %s, given back its memory, draws the pictures of sample",
  async (_, sampler) => {
    const model = loadedTinyModel();
    const guidance = { cfgScale: 3, classifierScale: 2 };
    const run = settle(model, { seeds, sampler, guidance });
    const exported = exportGraph(model, { what: "step", batchSize: 2, run });
    const file = await openOnnx(onnxFile(exported, "step.onnx").bytes);
    const slots = [...exported.graph.inputs.keys()].filter((name) => name.startsWith("memory_"));
    expect(slots.length).toBeGreaterThan(0);

    const steps = Number(exported.metadata["guidestar.steps"]);
    const perStep = steps / Number(sampler.steps) > 1 ? 2 : 1;
    let x = floats(shape, draw(0).data as Float32Array);
    // As far as pixels of size 1 reach at the first noise level.
    const tables: Record<string, number[]> = JSON.parse(exported.metadata["guidestar.coefficients"]!);
    expect(Math.hypot(tables.alpha![0]!, tables.sigma![0]!)).toBeCloseTo(1, 6);
    let memory = Object.fromEntries(slots.map((name) => [name, floats(shape, new Float32Array(128))]));
    for (let step = 0; step < steps; step++) {
      const noise = draw(Math.floor(step / perStep) + 1);
      const y = integers([2], [2, 1]);
      const out = await file.run({ x, noise, step: integers([], [step]), y, ...memory });
      x = floats(shape, out.x_next!.data as Float32Array);
      memory = Object.fromEntries(
        slots.map((name) => [name, floats(shape, out[`${name}_next`]!.data as Float32Array)]),
      );
    }
    const expected = await collect(sample(model, { backend, seeds, labels: [2, 1], sampler, guidance }));
    const worst = Math.max(...expected.data.map((value, i) => Math.abs(value - (x.data as Float32Array)[i]!)));
    expect(worst).toBeLessThan(1e-4);
  },
);
