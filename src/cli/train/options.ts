import { presetNames } from "../../models/adm/presets.ts";
import { defaultFamilies } from "../../models/family.ts";
import { labelOptions } from "../terminal/label-options.ts";
import { choice, type OptionTable, real, text, toggle, whole } from "../terminal/option.ts";

/** Said of what the rule of src/recipes/usual.ts chooses. */
const usual = "chosen by number and size of the images, and said";

/** Options of both kinds of training. */
export const trainOptions = {
  data: text(
    "path",
    "labelled images: a folder, zip or tar of CLASS/image, WebDataset, parquet or Arrow of the hub, an npz, MNIST IDX or CIFAR-10 files",
    {
      otherwise: "needed, except with --resume",
    },
  ),
  out: text("folder", "model folder to write", { required: true }),
  from: text("name|folder", "begin with the weights of this model: fine-tuning (docs/training.md)"),
  ...labelOptions,
  preset: text("name", `size of the network: ${presetNames.join(", ")}, or what its family calls them`, {
    otherwise: `${usual}; with --from that of the model`,
  }),
  steps: whole("steps in all", { otherwise: usual }),
  minutes: real("minutes of training, those before --resume included; the learning rate falls to 0 at their end", {
    least: 0,
    otherwise: usual,
  }),
  batchSize: whole("images per step", { otherwise: usual, aliases: ["batch"] }),
  microBatch: whole("images in memory at once; same result in less memory", { otherwise: "16, for base 4" }),
  seed: whole("of weights, order, noise", { fallback: 0, least: 0 }),
  learningRate: real("highest learning rate of AdamW", { otherwise: usual, least: 0 }),
  warmUpSteps: whole("steps over which the learning rate rises", {
    least: 0,
    otherwise: "a tenth of --steps, at most 200",
    aliases: ["warm-up"],
  }),
  decay: choice(
    ["none", "linear", "cosine", "late"],
    "how the learning rate falls to 0 at the end; late: over the last sixth alone",
    {
      fallback: "cosine",
    },
  ),
  maxGradientNorm: real("largest norm of the gradient, which is clipped to it; 0 for no limit", {
    fallback: 1,
    least: 0,
    aliases: ["clip-gradient"],
  }),
  emaRate: real("rate of the running average of the weights, which is what is saved; it starts lower", {
    fallback: 0.9999,
    least: 0,
    most: 1,
    aliases: ["ema"],
  }),
  process: choice(
    ["ddpm", "flow", "edm"],
    "kind of noise: in T steps (ddpm), straight to noise (flow matching), variance-exploding (edm)",
    {
      otherwise: `that of the model in --out, else ddpm with options of its noise or its prediction, else ${usual}`,
    },
  ),
  sigmaData: real("standard deviation of pixel values, -1 to 1, for --process edm", {
    least: 0,
    otherwise: "0.5",
    aliases: ["data-deviation"],
  }),
  schedule: choice(["linear", "cosine"], "noise schedule of --process ddpm", {
    otherwise: "that of the model in --out, else cosine",
  }),
  zeroTerminalSnr: toggle("end the schedule in pure noise; needs --prediction v or x0"),
  diffusionSteps: whole("length T of the noise schedule", {
    most: 1_000_000,
    aliases: ["noise-steps"],
    otherwise: "that of the model in --out, else 1000",
  }),
  size: whole("resize and centre-crop to this side, in pixels", { otherwise: "images as they are, if all alike" }),
  heldOut: real(
    "share of the images, at most 512, that is never trained on but measured at checkpoints, where there are no test images; 0 for none",
    { least: 0, most: 0.5, otherwise: "0.05 from 200 images on" },
  ),
  flip: toggle("mirror half of the images, left to right; not for digits or letters"),
  crop: whole("shift images by up to n pixels", { fallback: 0, least: 0 }),
  classBalance: real("how far classes of few images are shown as often as others: 0 as in the data, 1 equally often", {
    least: 0,
    most: 1,
    otherwise: "0",
  }),
  strict: toggle("stop at files that cannot be read, instead of skipping them"),
  storage: choice(["float32", "float16"], "how the weights of the model are stored", { fallback: "float32" }),
  keep: choice(
    ["best", "last"],
    "which weights the model keeps: with the least loss on held-out images, measured at checkpoints, or the newest",
    { fallback: "best" },
  ),
  checkpointEvery: whole("steps between checkpoints", { fallback: 500 }),
  checkpointMinutes: real("minutes between checkpoints, where so many steps take longer; 0 for no limit", {
    fallback: 10,
    least: 0,
  }),
  resume: toggle(
    "go on from the newest checkpoint in --out, with its options; --steps, --learning-rate and others of how it learns may be given anew",
  ),
  fromStep: whole(
    "with --resume: go back to the checkpoint of this step; later ones are removed when a new one is safe",
  ),
  dryRun: toggle("print counts, parameters and an estimate of the time; write nothing"),
  device: choice(["cpu", "webgpu"], "where to run", { fallback: "cpu" }),
  threads: whole("threads of the CPU", { otherwise: "one per core" }),
} satisfies OptionTable;

/** Which family of networks is trained; a family has a role. */
export const familyOption = (role: keyof typeof defaultFamilies) =>
  text("kind", "family of networks; registerFamily of the library adds others", { otherwise: defaultFamilies[role] });
