import { steadyOptions } from "../sample/guidance-options.ts";
import { samplerOptions } from "../sample/sampler-options.ts";
import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, text, whole } from "../terminal/option.ts";

/** What a step is made of. */
export const stepOptions = {
  ...samplerOptions,
  sampler: {
    ...samplerOptions.sampler,
    help: "as of sample",
    otherwise: "the model's, else ddim, whose step remembers nothing",
  },
  ...steadyOptions,
};

const options = {
  what: choice(["denoiser", "classifier", "classifier-gradient", "step"], "a network, a gradient, or a guided step", {
    required: true,
  }),
  out: text("file.onnx", "the file", { required: true }),
  batchSize: whole("images at a time; fixed in the file", { fallback: 1, most: 65_536, aliases: ["batch"] }),
  ...stepOptions,
};
export const exportModel = define({
  name: "export",
  argument: { name: "model", help: "bundled model, or model folder", fallback: "digits" },
  summary: "write part of a model as ONNX, for programs in any language",
  examples: [
    "guidestar export digits --what denoiser --batch-size 16 --out denoiser.onnx",
    "guidestar export runs/photos --what classifier-gradient --out gradient.onnx",
    "guidestar export digits --what step --batch-size 10 --steps 50 --cfg-scale 3 --out step.onnx",
  ],
  options,
  notes:
    "x: images float32 [N, C, H, W] in [-1, 1]. t: timesteps of the original chain, float32 [N]. y: labels, int64 [N].\n" +
    "  denoiser             x, t, y if told the class, low_res if it upsamples -> out\n" +
    "  classifier           x, t -> logits\n" +
    "  classifier-gradient  x, t, y -> log_prob, grad: of log p(y | x_t) by x\n" +
    "  step                 x, noise, step, y -> x_next, x0\n" +
    "To draw pictures with a step: start with normal numbers as x, count step 0, 1, ... (int64 []), give it new normal numbers as " +
    "noise and x_next as the next x. Classes, number of steps and timesteps are in the metadata, under guidestar.*.\n" +
    "The options from --sampler on are for --what step. Weights of more than 2 GiB are written to FILE.data, which must stay " +
    "beside FILE.",
});
export type ExportValues = ValuesOf<typeof exportModel>;
