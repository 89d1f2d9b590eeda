import type { Model } from "../../src/checkpoint/model.ts";
import { imagesAt } from "../../src/data/batches.ts";
import { holdOut } from "../../src/data/hold-out.ts";
import type { ProcessConfig } from "../../src/diffusion/noise-schedule.ts";
import { collectBound } from "../../src/evaluation/likelihood/bound.ts";
import { variationalBound } from "../../src/evaluation/likelihood/likelihood.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";
import { ddpm } from "../../src/samplers/solvers/ddpm.ts";
import type { Cell, Claim, Setup } from "./claim.ts";
import { chainModel, kept } from "./trainings.ts";

const kinds = ["learned-range", "fixed-small", "fixed-large"] as const;
const places = [5, 10, 25, 50];
/** Images whose bound is taken. */
const most = 100;

/** The same network with another variance: what it learned of its own is left out. */
async function withVariance(setup: Setup, variance: ProcessConfig["variance"], seed: number): Promise<Model> {
  const model = await chainModel(setup, seed);
  const { process, sha256 } = model.denoiser!;
  if (process.variance === variance) return model;
  return kept(setup, `${variance}-${sha256.slice(0, 8)}`, async () => {
    const { imageShape, classes } = model;
    const count = Math.max(1, classes.length);
    const pixels = imageShape[0] * imageShape[1] * imageShape[2];
    // Of the images only their shape counts: nothing is trained.
    const train = { count, shape: imageShape as [1 | 3, number, number], images: new Uint8Array(count * pixels) };
    const labels = Int32Array.from({ length: count }, (_, label) => label);
    const dataset = { classes, imageShape: train.shape, train: { ...train, labels }, size: undefined };
    const recipe = denoiserRecipe({ dataset, from: model, process: { ...process, variance }, steps: 1, heldOut: 0 });
    const { weights } = recipe.training;
    return recipe.model(typeof weights === "function" ? weights() : weights);
  });
}

/** Bits per dimension of images that were not trained on, in a chain of so many steps. */
async function bitsOf(model: Model, { dataset, backend }: Setup, steps: number, seed: number): Promise<number> {
  const { heldOut } = holdOut(dataset!);
  const count = Math.min(most, heldOut.count);
  const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * heldOut.count) / count));
  const events = variationalBound(model, imagesAt(heldOut, chosen), { respacing: String(steps), seed, backend });
  return (await collectBound(events)).total;
}

/** With few steps learned variances give better likelihoods and pictures than fixed ones (Nichol & Dhariwal 2021). */
export const variances: Claim = {
  about: "Learned variances are better than fixed ones at few steps",
  xLabel: "steps of the chain",
  measures: ["fid", "precision", "recall", "bits"],
  cells: (setup) =>
    kinds.flatMap((series) =>
      places.map(
        (x): Cell => ({
          ...{ series, x, model: (seed) => withVariance(setup, series, seed) },
          settings: { sampler: ddpm({ steps: x }), guidance: { cfgScale: 1, classifierScale: 0 } },
          ...(setup.dataset && {
            more: async (model, seed) => ({ bits: await bitsOf(model, setup, x, seed) }),
          }),
        }),
      ),
    ),
  statements: (cells) =>
    kinds.slice(1).flatMap((series) =>
      places.flatMap((x) =>
        (["fid", ...(cells[0]?.more ? ["bits"] : [])] as const).map((measure) => ({
          text: `${x} steps: learned variances are better than ${series}`,
          ...{ measure, from: { series, x }, to: { series: kinds[0], x }, goes: "down" as const },
        })),
      ),
    ),
};
