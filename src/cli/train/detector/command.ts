import { define, type ValuesOf } from "../../terminal/command.ts";
import { type Option, real, text, whole } from "../../terminal/option.ts";
import { trainOptions } from "../options.ts";

const { data, out, labels, labelColumn, range, background, size, strict, seed, microBatch } = trainOptions;
const { warmUpSteps, decay, maxGradientNorm, checkpointEvery, checkpointMinutes } = trainOptions;
const { resume, fromStep, dryRun, device, threads } = trainOptions;

/** On or off, where the usual depends on the images. */
const flip: Option<boolean | undefined> = {
  ...trainOptions.flip,
  help: "mirror half of the images, left to right; on where they are of colour, --no-flip for letters and digits",
  negatable: true,
};
const { fallback: _, ...undecidedFlip } = flip;

const options = {
  data,
  out,
  labels,
  labelColumn,
  range,
  background,
  preset: text("name", "size of the network: small, base", { otherwise: "small; base from 10000 images on" }),
  steps: whole("steps in all", {
    otherwise: "so many that each image is seen 12 times, but 100000 to 600000 images in all",
  }),
  batchSize: whole("images per step", { fallback: 64 }),
  microBatch: { ...microBatch, otherwise: "all of a batch" },
  seed,
  learningRate: real("highest learning rate of AdamW", { fallback: 3e-3, least: 0 }),
  warmUpSteps: { ...warmUpSteps, otherwise: "a tenth of --steps" },
  decay,
  maxGradientNorm,
  weightDecay: real("decoupled weight decay of AdamW", { fallback: 0.05, least: 0 }),
  emaRate: real("rate of the running average of the weights, which is what is saved; it starts lower", {
    fallback: 0.999,
    least: 0,
    most: 1,
  }),
  size,
  flip: undecidedFlip as Option<boolean | undefined>,
  crop: whole("shift images by up to n pixels", { least: 0, otherwise: "an eighth of their side" }),
  strict,
  checkpointEvery,
  checkpointMinutes,
  resume,
  fromStep,
  dryRun,
  device,
  threads,
};
export const trainDetector = define({
  name: "train detector",
  summary: "train a detector of your own images, which evaluate and sweep measure with",
  examples: [
    "guidestar train detector --data photos.zip --out runs/photos     # the model there carries it",
    "guidestar evaluate samples.npz --detector runs/photos",
    "guidestar train detector --out runs/photos --resume              # after Ctrl-C or a crash",
  ],
  options,
  notes:
    "A detector tells the classes of clean images apart; distances are taken between the features by which it does. It is tested on the test " +
    "images, or, where there are none, on 15% of the images, chosen by their content and never trained on. Writes detector.json, which says " +
    "how well it reads them, its weights, and what it sees in the images that it was trained on, so that evaluate and sweep need no data afterwards.",
});
export type DetectorValues = ValuesOf<typeof trainDetector>;
