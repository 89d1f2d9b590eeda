import { define, type ValuesOf } from "../terminal/command.ts";
import { labelOptions } from "../terminal/label-options.ts";
import { choice, text, toggle, whole } from "../terminal/option.ts";

const options = {
  model: text("name|folder", "bundled model, or model folder", { fallback: "digits" }),
  split: choice(["train", "test"], "which images", { otherwise: "test where there are any, else train" }),
  ...labelOptions,
  size: whole("side that images are resized and cropped to", {
    otherwise: "as in the model's training, else images as they are",
  }),
  count: whole("images, chosen at random by the seed", { otherwise: "all" }),
  class: text("name", "the class that the denoiser is told, for images without one", {
    otherwise: "that of each image",
  }),
  unconditional: toggle("tell the denoiser no class; needs a null label"),
  steps: whole("timesteps to keep, spread evenly from the first to the last", { otherwise: "all of the model's" }),
  respacing: text("spec", 'the same as papers write it: "250", "10,10,20" or "ddim25"'),
  unclipped: toggle("do not limit predicted images to the range of images"),
  batchSize: whole("most images at a time", { fallback: 16, aliases: ["batch"] }),
  seed: whole("seed of the noise", { fallback: 0, least: 0, most: 2 ** 52 }),
  csv: text("file.csv", "every term by timestep: timestep,vb,xstart_mse,mse"),
  plot: text("file.svg", "the same as a picture"),
  json: toggle("print everything as JSON"),
  device: choice(["cpu", "webgpu"], "where to run", { fallback: "cpu" }),
  threads: whole("threads of the CPU", { otherwise: "one per core" }),
};
export const nll = define({
  name: "nll",
  argument: {
    name: "path",
    help: "an image, a folder, zip or tar of images or of CLASS/image, WebDataset, parquet or Arrow of the hub, an npz, MNIST IDX or CIFAR-10 files",
  },
  summary: "measure how likely images are to a model: the variational bound in bits per dimension",
  examples: [
    "guidestar nll mnist.zip --count 100 --steps 100                # the bundled digits",
    "guidestar nll photos --model runs/photos --csv terms.csv --plot terms.svg",
    "guidestar nll samples.npz --model runs/photos --respacing 250 --json",
  ],
  options,
  notes:
    "The bound is an upper limit of -log p, so less is better; it is a sum of one term for each timestep, of which the first is the " +
    "decoder's, and the prior's. It costs one run of the denoiser for each image and timestep. Fewer steps are faster and give a " +
    "larger bound, that of sampling with so few steps.",
});
export type NllValues = ValuesOf<typeof nll>;
