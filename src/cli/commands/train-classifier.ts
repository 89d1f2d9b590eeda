import { command } from "../command.ts";
import { real, type Values, whole } from "../option.ts";
import { trainOptions } from "./train-options.ts";

const options = {
  ...trainOptions,
  steps: whole("steps in all", { fallback: 6000 }),
  weightDecay: real("decoupled weight decay of AdamW", { fallback: 0.05, least: 0 }),
};
export type ClassifierValues = Values<typeof options>;

export const trainClassifier = command({
  name: "train classifier",
  summary: "train a classifier of noisy images, for classifier guidance",
  examples: [
    "guidestar train classifier --data photos.zip --out runs/photos   # joins the denoiser there",
    "guidestar train classifier --out runs/photos --resume            # after Ctrl-C or a crash",
  ],
  options,
  notes:
    "Writes classifier.safetensors, checkpoints/ and metrics.jsonl into --out, and joins the model.json there. Classifier and denoiser\n" +
    "must know the same noise: --schedule and --noise-steps follow the denoiser that is there.",
  run: async (values, context) => (await import("../train/run.ts")).runTraining("classifier", values, context),
});
