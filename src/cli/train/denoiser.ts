import { lossWeights } from "../../diffusion/losses.ts";
import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, negatable, real, text, toggle, whole, withEarlier } from "../terminal/option.ts";
import { familyOption, trainOptions } from "./options.ts";

const { data, out, ...common } = trainOptions;
const options = {
  data,
  out,
  family: familyOption("denoiser"),
  ...common,
  until: choice(
    ["good"],
    "end sooner than --minutes says, once the loss on held-out images stops to fall (docs/training.md)",
    {},
  ),
  labelDropout: real(
    "share of images trained without their class, for --cfg-scale and --unconditional; 0 for neither",
    {
      fallback: 0.1,
      least: 0,
      most: 1,
      aliases: ["dropout-label"],
    },
  ),
  loss: withEarlier(
    choice(
      ["hybrid", "simple", "vlb"],
      "hybrid: squared error and learned variances; simple: squared error only; vlb: the variational bound",
      { otherwise: "hybrid; simple with flow and edm" },
    ),
    { bound: "vlb" },
  ),
  vlbWeight: real("factor on the term of the variational bound", {
    least: 0,
    otherwise: "T with vlb, T/1000 with hybrid",
  }),
  lossWeight: choice(
    lossWeights,
    "of the squared error at each noise level; min-snr is quicker with eps, x0 and v, velocity is for --process flow --prediction x0",
    { fallback: "none" },
  ),
  prediction: choice(
    ["eps", "x0", "previous", "v", "velocity", "edm"],
    "what the network predicts: noise, image, the mean of x_{t-1}, v, a mixture of noise and image; velocity of the flow, or EDM's mixture",
    { otherwise: "eps; velocity with flow, edm with edm" },
  ),
  timesteps: choice(
    ["uniform", "loss-second-moment", "log-normal", "logit-normal"],
    "how training picks noise levels: log-normal as EDM, logit-normal for the flow",
    { otherwise: "uniform; log-normal with edm" },
  ),
  immiscible: toggle("give each batch's noise to the images that it is nearest to"),
  augment: real(
    "probability that an image is mirrored, turned, shifted, of each; the network is told, so that it draws none such (EDM)",
    { least: 0, most: 1, otherwise: "0" },
  ),
  powerEma: toggle(
    "keep averages of the weights whose length `guidestar ema` chooses afterwards; takes memory and disk",
  ),
  sampleEvery: whole("steps between sample sheets", { fallback: 1000 }),
  detector: text("folder|file", "what sees features in samples and training images, to tell copies by beside pixels"),
  stopWhenCopying: negatable(
    toggle(
      "end the run at a sheet whose samples copy training images: more of them are as near to one than chance allows",
    ),
  ),
  sampleMinutes: real("minutes between sample sheets, beside those; the first after a quarter of that; 0 for none", {
    fallback: 8,
    least: 0,
  }),
};
export const trainDenoiser = define({
  name: "train denoiser",
  summary: "train a diffusion model on labelled images",
  examples: [
    "guidestar train denoiser --data photos.zip --out runs/photos --dry-run",
    "guidestar train denoiser --data photos.zip --out runs/photos --size 32 --flip",
    "guidestar train denoiser --data photos.zip --out runs/photos --minutes 30",
    "guidestar train denoiser --out runs/photos --resume        # after Ctrl-C or a crash",
  ],
  options,
  notes:
    "Writes model.json, denoiser.safetensors, checkpoints/, metrics.jsonl and samples/ into --out. The model is usable from the " +
    "first checkpoint on. Ctrl-C ends the step, writes a checkpoint and prints the command that goes on.",
});
export type DenoiserValues = ValuesOf<typeof trainDenoiser>;
