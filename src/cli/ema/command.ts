import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, real, text, toggle, whole } from "../terminal/option.ts";

const options = {
  length: real("length of the average, as a share of the run: 0.05 is short, 0.2 long", {
    required: true,
    least: 0.001,
    most: 0.288,
  }),
  step: whole("step that the average ends at, one of the snapshots'", { otherwise: "the newest snapshot's" }),
  out: text("folder", "model folder to write", { otherwise: "the run itself, whose denoiser is replaced" }),
  replace: toggle("replace a trained network that is there"),
  storage: choice(["float32", "float16"], "how the weights of the model are stored", { fallback: "float32" }),
};
export const ema = define({
  name: "ema",
  argument: { name: "run", help: "folder of a run that was trained with --power-ema" },
  summary: "choose the length of the average of a denoiser's weights, after training",
  examples: [
    "guidestar ema runs/photos --length 0.1",
    "guidestar ema runs/photos --length 0.05 --out runs/photos-short   # to compare",
  ],
  options,
  notes:
    "The averages that training kept are put together to one of the length asked for; the line that is printed says how exactly. " +
    "The same run can be asked again for other lengths. The snapshots are in checkpoints/denoiser/averages/.",
});
export type EmaValues = ValuesOf<typeof ema>;
