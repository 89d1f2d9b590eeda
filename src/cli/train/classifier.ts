import { define, type ValuesOf } from "../terminal/command.ts";
import { real } from "../terminal/option.ts";
import { familyOption, trainOptions } from "./options.ts";

const { data, out, ...common } = trainOptions;
const options = {
  data,
  out,
  family: familyOption("classifier"),
  ...common,
  weightDecay: real("decoupled weight decay of AdamW", { fallback: 0.05, least: 0 }),
};
export const trainClassifier = define({
  name: "train classifier",
  summary: "train a classifier of noisy images, for classifier guidance",
  examples: [
    "guidestar train classifier --data photos.zip --out runs/photos   # joins the denoiser there",
    "guidestar train classifier --out runs/photos --resume            # after Ctrl-C or a crash",
  ],
  options,
  notes:
    "Writes classifier.safetensors, checkpoints/ and metrics.jsonl into --out, and joins the model.json there. Classifier and denoiser " +
    "must know the same noise: --schedule and --diffusion-steps follow the denoiser that is there.",
});
export type ClassifierValues = ValuesOf<typeof trainClassifier>;
