import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { coefficients, noiseSchedule } from "../src/diffusion/noise-schedule.ts";
import { ddpmProcess } from "../src/diffusion/process-config.ts";
import { arrayOf, readNpz } from "../src/formats/npz.ts";
import { readTorch } from "../src/formats/torch.ts";
import { encoderUnet } from "../src/models/adm/classifier.ts";
import { configFromGuidedDiffusion } from "../src/models/adm/guided-diffusion.ts";
import { unet } from "../src/models/adm/unet.ts";
import { float32, int32, type NDArray, type Tree } from "../src/ndarray.ts";
import type { Backend } from "../src/runtime/backend.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import type { Tensor } from "../src/tensor/tensor.ts";
import { f32, i32, trace } from "../src/tensor/trace.ts";
import type { Weights } from "../src/training/events.ts";
import type { Tensors } from "../src/training/step/adamw.ts";
import type { StepOptions } from "../src/training/step/graph.ts";
import { compileTraining } from "../src/training/step/program.ts";
import { updateValues } from "../src/training/step/update.ts";
import { mapValues, shapesOf } from "../src/training/step/values.ts";
import { type Task, taskGraph } from "../src/training/task.ts";
import { classifierLoss } from "../src/training/tasks/classifier.ts";
import { denoiserLoss } from "../src/training/tasks/denoiser.ts";

const data = new URL("./data/", import.meta.url);
const json = (name: string) => JSON.parse(readFileSync(new URL(name, data), "utf8"));
const process = ddpmProcess({ schedule: "linear", variance: "learned-range" });

/** The recorded run: settings, weights before it, and the inputs of each of its five steps. */
function load(kind: "diffusion" | "classifier") {
  const settings = json("training.json")[kind];
  const { config } = configFromGuidedDiffusion(json("networks.json")[settings.net]);
  const weights = readTorch(readFileSync(new URL(`${settings.net}.pt`, data)));
  const arrays = readNpz(readFileSync(new URL(`train_${kind}.npz`, data)));
  const float = (name: string) => {
    const { shape, data } = arrayOf(arrays, name, "float32");
    return float32(shape, data);
  };
  const integers = (name: string) => {
    const { shape, data } = arrayOf(arrays, name, "int64");
    return int32(shape, Array.from(data, Number));
  };
  const scalars = (name: string): Float64Array => arrayOf(arrays, name, "float64").data;
  /** Part `step` of an array of all steps. */
  const at = <D extends "float32" | "int32">({ dtype, shape, data }: NDArray<D>, step: number): NDArray<D> => {
    const size = data.length / shape[0]!;
    return { dtype, shape: shape.slice(1), data: data.slice(step * size, (step + 1) * size) } as NDArray as NDArray<D>;
  };
  const [, batchSize, ...imageShape] = float("x0").shape as [number, number, number, number, number];
  return { settings, config, weights, float, integers, scalars, at, batchSize, imageShape };
}

const expectClose = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void => {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(tolerance * scale);
};

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend();
});
afterAll(() => backend[Symbol.asyncDispose]());

type Network = (params: Tensors, x: Tensor, t: Tensor, given: { label: Tensor<"int32"> }) => Tensor;

/** The network's output on the recorded probe. */
async function probe(
  network: Network,
  weights: Weights,
  { float, integers }: ReturnType<typeof load>,
): Promise<Float32Array> {
  const [x, t, y] = [float("probe_x"), integers("probe_t"), integers("probe_y")];
  const params = mapValues(shapesOf(weights), (shape) => f32(...shape));
  const graph = trace(
    { params, x: f32(...x.shape), t: f32(...t.shape), y: i32(...y.shape) },
    ({ params, x, t, y }) => ({
      out: network(params, x, t, { label: y }),
    }),
  );
  await using program = await compile(graph, backend, { bind: { params: weights } });
  return (await program.run({ x, t: float32(t.shape, t.data), y })).out.data;
}

/** Runs the recorded steps and compares. `batchOf` makes the graph's batch of what was recorded of one step. */
async function follow(
  loss: Task["loss"],
  options: StepOptions,
  network: Network,
  run: ReturnType<typeof load>,
  batchOf: (recorded: { x0: NDArray; noise: NDArray; y: NDArray; indices: number[] }) => Tree<NDArray>,
): Promise<void> {
  const { settings, weights, float, integers, scalars, at } = run;
  const zeros = mapValues(weights, ({ shape }) => float32(shape));
  const batchAt = (step: number): Tree<NDArray> => {
    const recorded = { x0: at(float("x0"), step), noise: at(float("noise"), step), y: at(integers("y"), step) };
    return batchOf({ ...recorded, indices: [...at(integers("t"), step).data] });
  };
  const graph = taskGraph({ loss }, weights, batchAt(0), options);
  await using program = await compileTraining(graph, backend, { params: weights, m: zeros, v: zeros, ema: weights });
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 0; step < integers("t").shape[0]!; step++) {
    const batch = batchAt(step);
    const update = updateValues(step + 1, settings.lr, {
      weightDecay: settings.weight_decay,
      emaRate: settings.ema_rate,
      emaWarmUp: false,
    });
    const { objective, gradientNorm } = await program.run({ batch, update });
    losses.push(objective.data.reduce((sum, loss) => sum + loss, 0) / objective.data.length);
    norms.push(gradientNorm.data[0]!);
  }
  expectClose(losses, scalars("losses"), 1e-4);
  expectClose(norms, scalars("grad_norms"), 1e-3);
  const { params, ema } = await program.readState();
  expectClose(await probe(network, params, run), float("probe_out").data, 1e-3);
  expectClose(await probe(network, ema, run), float("probe_out_ema").data, 1e-3);
}

describe("five recorded steps", () => {
  test("train a denoiser as the reference does", { timeout: 120_000 }, async () => {
    const run = load("diffusion");
    const network = unet(run.config);
    const loss = denoiserLoss({ network, process, loss: "hybrid" });
    const chain = noiseSchedule(process);
    await follow(loss, {}, network, run, ({ indices, ...batch }) => ({
      ...batch,
      weight: float32([indices.length], new Float32Array(indices.length).fill(1)),
      coefficients: coefficients(chain, indices),
    }));
  });

  test("train a noisy classifier as the reference does, in micro-batches", { timeout: 120_000 }, async () => {
    const run = load("classifier");
    const network = encoderUnet(run.config);
    const loss = classifierLoss({ network, process: { ...process, variance: "fixed-small" } });
    const chain = noiseSchedule(process);
    await follow(loss, { microBatch: 3 }, network, run, ({ indices, ...batch }) => {
      const { timestep, alpha, sigma } = coefficients(chain, indices);
      return { ...batch, timestep, alpha, sigma };
    });
  });
});
