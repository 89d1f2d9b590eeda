import type { Model } from "../../src/checkpoint/model.ts";
import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { encoderUnet } from "../../src/models/adm/classifier.ts";
import type { BackboneConfig, ClassifierConfig, UNetConfig } from "../../src/models/adm/config.ts";
import { unet } from "../../src/models/adm/unet.ts";
import { float32, int32, type NDArray, sizeOf, type Tree } from "../../src/ndarray.ts";
import { type Network, parameterShapes } from "../../src/nn/module.ts";
import { normals } from "../../src/random.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import { sample } from "../../src/sampling/sample.ts";
import { flatten } from "../../src/tensor/trace.ts";
import { compileTraining } from "../../src/training/step/program.ts";
import { updateValues } from "../../src/training/step/update.ts";
import { taskGraph } from "../../src/training/task.ts";
import { denoiserTask } from "../../src/training/tasks/denoiser.ts";
import { compositeCases, operatorCases } from "./cases.ts";
import { run } from "./runs.ts";

/** Work for the engine whose results should be the same on every device. */
export interface Job {
  readonly name: string;
  readonly run: (backend: Backend) => Promise<ReadonlyMap<string, NDArray>>;
  /** Of the differences, relative to the larger of `scale` and the largest element. */
  readonly tolerance: number;
  readonly scale: number;
}

// WGSL asks for no more than 2^-11 of sine and cosine, so whatever sees a timestep embedding is held to less.
const precise = { tolerance: 1e-4, scale: 1 };
const approximate = { tolerance: 1e-3, scale: 1e-3 };

const isArray = (value: NDArray | Tree<NDArray>): value is NDArray => "data" in value;
const flat = (tree: Tree<NDArray>): Map<string, NDArray> => flatten<NDArray>(tree, isArray);

const imageShape = [1, 8, 8] as const;
const classes = 3;
const process = ddpmProcess({ steps: 4, variance: "learned-range" });
const backbone: Omit<BackboneConfig, "outChannels"> = {
  imageSize: 8,
  inChannels: 1,
  modelChannels: 16,
  channelMult: [1, 1],
  numResBlocks: 1,
  attentionResolutions: [2],
  numHeadChannels: 8,
  normGroups: 4,
};
const denoiserConfig: UNetConfig = { ...backbone, outChannels: 2, numClasses: classes, nullLabel: true };
const classifierConfig: ClassifierConfig = { ...backbone, outChannels: classes, pool: "attention" };

const noise = (seed: number, ...shape: number[]): NDArray<"float32"> => float32(shape, normals(seed, 0, sizeOf(shape)));

/** Random weights everywhere, also where a fresh network has zeros that would hide what comes before them. */
const weightsOf = (network: Network): Record<string, NDArray<"float32">> =>
  Object.fromEntries(
    Object.entries(parameterShapes(network)).map(([key, shape], i) => {
      const fan = shape.length > 1 ? sizeOf(shape.slice(1)) : 4;
      return [
        key,
        float32(
          shape,
          normals(5, i, sizeOf(shape)).map((x) => x / Math.sqrt(fan)),
        ),
      ];
    }),
  );

const model: Model = {
  format: "guidestar-model-2",
  source: "test",
  classes: ["a", "b", "c"],
  imageShape,
  preprocessing: {},
  denoiser: {
    kind: "adm-unet",
    config: denoiserConfig,
    process,
    file: "denoiser.safetensors",
    sha256: "",
    parameters: 1,
  },
  classifier: {
    kind: "adm-classifier",
    config: classifierConfig,
    process,
    file: "classifier.safetensors",
    sha256: "",
    parameters: 1,
  },
  weights: { denoiser: weightsOf(unet(denoiserConfig)), classifier: weightsOf(encoderUnet(classifierConfig)) },
};

/** Two steps that classifier and classifier-free guidance steer at once; denoisers, classifier, gradient and update are one program. */
async function guided(backend: Backend): Promise<Map<string, NDArray>> {
  const options = { labels: ["c", "a"], seeds: [0, 1], sampler: ddpm({ steps: 2 }) };
  const guidance = { classifierScale: 1.5, cfgScale: 2 };
  const results = new Map<string, NDArray>();
  for await (const { step, x, x0 } of sample(model, { backend, guidance, ...options }))
    results.set(`x after step ${step}`, x).set(`x0 of step ${step}`, x0);
  return results;
}

/** Two updates of a UNet, gradients clipped: the losses, and AdamW's averages of the gradient and its square. */
async function training(backend: Backend): Promise<Map<string, NDArray>> {
  // Every shape of every layer is a shader to compile, slowly where there is no GPU: one resolution has to do.
  const denoise = unet({ ...denoiserConfig, channelMult: [1], attentionResolutions: [1] });
  const weights = weightsOf(denoise);
  const task = denoiserTask({
    network: denoise,
    weights,
    process,
    classes,
    labelDropout: 0.5,
    seed: 0,
    batchAt: (step) => ({ x: noise(step, 2, ...imageShape), y: int32([2], [step, 0]) }),
  });
  const zeros = Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, float32(shape)]));
  const state = { params: weights, m: zeros, v: zeros, ema: weights };
  const graph = taskGraph(task, weights, await task.batchAt(1, null), { maxGradientNorm: 1 });
  await using program = await compileTraining(graph, backend, state);
  const reports: Record<string, Tree<NDArray>> = {};
  for (const step of [1, 2])
    reports[`step ${step}`] = await program.run({
      batch: await task.batchAt(step, null),
      update: updateValues(step, 1e-3),
    });
  const { m, v } = await program.readState();
  return flat({ ...reports, m, v });
}

export const jobs: readonly Job[] = [
  ...Object.entries(operatorCases).map(([op, [first]]) => ({
    name: op,
    run: (backend: Backend) => run({ ...first!, by: [] }, backend),
    ...(op === "sin" || op === "cos" ? approximate : precise),
  })),
  ...compositeCases.map((kase) => ({
    name: `${kase.name}, with derivatives`,
    run: (backend: Backend) => run(kase, backend),
    ...(kase.name === "timestep embedding" ? approximate : precise),
  })),
  { name: "guided steps", run: guided, ...approximate },
  { name: "updates of training", run: training, ...approximate },
];
