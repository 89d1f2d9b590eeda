import { ddpmProcess } from "../../src/diffusion/process-config.ts";
import { denoiserNetwork } from "../../src/models/families.ts";
import { initialize } from "../../src/nn/initialize.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";
import { ddim } from "../../src/samplers/solvers/ddim.ts";
import { trainDenoiser } from "../../src/training/train.ts";
import type { Cell, Claim, Setup } from "./claim.ts";
import { common, finished, kept } from "./trainings.ts";

const [adaptive, addition] = ["adaptive group normalization", "addition"];
const scales = [1, 1.5, 2];

/** A denoiser whose blocks are told timestep and class by scales and shifts after the normalization, or by a sum before it. */
const trainedWith = (setup: Setup, series: string, seed: number) =>
  kept(setup, `${series.replaceAll(" ", "-")}-${seed}`, async () => {
    const process = ddpmProcess({ variance: "learned-range" });
    const recipe = denoiserRecipe({ preset: "small", ...common(setup, seed), process });
    const whole = recipe.model({}, {});
    const record = whole.denoiser!.record;
    const description = { kind: record.kind, config: { ...record.config, useScaleShiftNorm: series === adaptive } };
    const network = denoiserNetwork(description);
    const training = { ...recipe.training, network, weights: () => initialize(network, seed) };
    const weights = await finished(`${series}, seed ${seed}`, trainDenoiser({ ...training, backend: setup.backend }));
    return { ...whole, denoiser: { record: { ...record, ...description }, weights } };
  });

/** Adaptive group normalization draws better than the sum (Dhariwal & Nichol 2021, table 3). */
export const normalization: Claim = {
  about: "Adaptive group normalization draws better than addition",
  xLabel: "scale of classifier-free guidance",
  measures: ["fid", "precision", "recall", "accuracy"],
  cells: (setup) =>
    [adaptive, addition].flatMap((series) =>
      scales.map(
        (x): Cell => ({
          ...{ series, x, model: (seed) => trainedWith(setup, series, seed) },
          settings: { sampler: ddim({ steps: Math.max(25, setup.options.steps) }), guidance: { cfgScale: x } },
        }),
      ),
    ),
  statements: () =>
    scales.map((x) => ({
      text: `at scale ${x} adaptive group normalization is nearer to the data`,
      measure: "fid",
      ...{ from: { series: addition, x }, to: { series: adaptive, x }, goes: "down" },
    })),
};
