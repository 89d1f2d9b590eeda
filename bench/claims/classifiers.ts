import type { Model } from "../../src/checkpoint/model.ts";
import { float32 } from "../../src/ndarray.ts";
import { classifierRecipe } from "../../src/recipes/classifier.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import type { Task } from "../../src/training/task.ts";
import { type ClassifierBatch, classifierTask } from "../../src/training/tasks/classifier.ts";
import { train } from "../../src/training/train.ts";
import type { Cell, Claim, Setup } from "./claim.ts";
import { chainModel, common, finished, kept } from "./trainings.ts";

const [inNoise, atMean, clean] = ["in noise, gradient at x_t", "in noise, gradient at the mean", "in clean images"];
const scales = [0, 2, 8];

/** The same training on images without noise, told any timestep. */
const withoutNoise = (task: Task<ClassifierBatch>): Task<ClassifierBatch> => ({
  ...task,
  async batchAt(step, memory) {
    const batch = await task.batchAt(step, memory);
    const { shape } = batch.alpha;
    return { ...batch, alpha: float32(shape, new Float32Array(shape[0]!).fill(1)), sigma: float32(shape) };
  },
});

/** The denoiser beside a classifier that learnt in noise, or in clean images. */
async function guided(setup: Setup, learnt: "noise" | "clean", seed: number): Promise<Model> {
  const denoiser = await chainModel(setup, seed);
  const { classifier, weights } = await kept(setup, `classifier-${learnt}-${seed}`, async () => {
    const recipe = classifierRecipe({ ...common(setup, seed), process: denoiser.denoiser!.process });
    const task = classifierTask(recipe.training);
    const events = train(learnt === "clean" ? withoutNoise(task) : task, {
      ...recipe.training,
      backend: setup.backend,
    });
    return recipe.model(await finished(`classifier of ${learnt}, seed ${seed}`, events));
  });
  return {
    ...denoiser,
    classifier: classifier!,
    weights: { ...denoiser.weights, classifier: weights.classifier! },
  };
}

/** A classifier guides where it has learnt in noise, and its gradient is right at the mean (Dhariwal & Nichol 2021). */
export const classifiers: Claim = {
  about: "A classifier guides where it has learnt in noise",
  xLabel: "scale of classifier guidance",
  measures: ["accuracy", "fid", "precision", "recall"],
  cells: (setup) =>
    [inNoise, atMean, clean].flatMap((series) =>
      scales.map(
        (x): Cell => ({
          ...{ series, x, model: (seed) => guided(setup, series === clean ? "clean" : "noise", seed) },
          settings: {
            sampler: ddpm({ steps: Math.max(25, setup.options.steps) }),
            guidance: { unconditional: true, classifierScale: x, ...(series === atMean && { gradientAt: "mean" }) },
          },
        }),
      ),
    ),
  statements: () =>
    scales.slice(1).flatMap(
      (x) =>
        [
          {
            text: `scale ${x}: pictures are more often of the class under a classifier that learnt in noise`,
            ...{ measure: "accuracy", from: { series: clean, x }, to: { series: inNoise, x }, goes: "up" },
          },
          {
            text: `scale ${x}: they are nearer to the data`,
            ...{ measure: "fid", from: { series: clean, x }, to: { series: inNoise, x }, goes: "down" },
          },
          {
            text: `scale ${x}: the gradient at the mean gives pictures that are nearer still`,
            ...{ measure: "fid", from: { series: inNoise, x }, to: { series: atMean, x }, goes: "down" },
          },
        ] as const,
    ),
};
