import { join } from "node:path";
import type { Model, ModelToSave, Weights } from "../../src/checkpoint/model.ts";
import { existingRecord, loadModel, saveModel } from "../../src/checkpoint/model-folder.ts";
import { ddpmProcess, learnsVariance } from "../../src/diffusion/process-config.ts";
import { denoiserRecipe } from "../../src/recipes/denoiser.ts";
import { type TrainingEvent, trained } from "../../src/training/events.ts";
import { trainDenoiser } from "../../src/training/train.ts";
import { worked } from "../processor-time.ts";
import type { Setup } from "./claim.ts";

/** What trainings of claims have in common: minutes of processors' work, no images held out. */
export const common = ({ options: { minutes, preset }, dataset }: Setup, seed: number) => {
  if (!dataset) throw new Error("this claim trains networks of your images: give --data");
  return { dataset, seed, minutes, heldOut: 0, clock: worked, ...(preset !== undefined && { preset }) };
};

const made = new Map<string, Promise<Model>>();

/** A model of this name: from its folder where an earlier call trained it, else trained now, and kept there. */
export function kept(
  { options: { out, claim, minutes, preset = "usual" } }: Setup,
  name: string,
  make: () => Promise<ModelToSave>,
): Promise<Model> {
  const folder = join(out, `claim-${claim}`, `${name}-${preset}-${minutes}min`);
  const open = async (): Promise<Model> => {
    if (!(await existingRecord(folder))) await saveModel(folder, await make());
    return loadModel(folder);
  };
  const model = made.get(folder) ?? open();
  made.set(folder, model);
  return model;
}

/** Follows a training, and says how far it is. */
export async function finished(name: string, events: AsyncIterable<TrainingEvent>): Promise<Weights> {
  async function* told() {
    for await (const event of events) {
      if (event.kind === "step" && event.step % 20 === 0)
        process.stderr.write(`\r${name}: ${event.step} steps, ${Math.round(100 * event.progress)}%   `);
      yield event;
    }
    process.stderr.write("\n");
  }
  return trained(told());
}

/** A denoiser on a chain of steps that learns its variances: the model, or, where that is another, one trained with the seed. */
export function chainModel(setup: Setup, seed: number): Promise<Model> {
  const { model, backend } = setup;
  if (model.denoiser && learnsVariance(model.denoiser.process)) return Promise.resolve(model);
  return kept(setup, `chain-${seed}`, async () => {
    const recipe = denoiserRecipe({ ...common(setup, seed), process: ddpmProcess({ variance: "learned-range" }) });
    return recipe.model(await finished(`chain, seed ${seed}`, trainDenoiser({ ...recipe.training, backend })));
  });
}
