import { guidanceOptions } from "../sample/guidance-options.ts";
import { samplerOptions } from "../sample/sampler-options.ts";
import { define, type ValuesOf } from "../terminal/command.ts";
import { labelOptions } from "../terminal/label-options.ts";
import { choice, text, toggle, whole } from "../terminal/option.ts";

const { cfgScale, unconditional } = guidanceOptions;
const options = {
  model: text("name|folder", "bundled model, or model folder", { fallback: "digits" }),
  class: text("name", "the class of the pictures, as a name or number", { otherwise: "that of each picture's folder" }),
  unconditional,
  steps: { ...samplerOptions.steps, otherwise: "50" },
  cfgScale: { ...cfgScale, otherwise: "1" },
  split: choice(["train", "test"], "which pictures, of data that has both", { fallback: "train" }),
  ...labelOptions,
  size: whole("side that pictures are resized and cropped to", {
    otherwise: "as in the model's training, else as they are",
  }),
  batchSize: whole("most pictures at a time", { fallback: 16, aliases: ["batch"] }),
  out: text("latents.npz", "arr_0: latents float32 [N, C, H, W], arr_1: labels, and how to decode them", {
    fallback: "latents.npz",
  }),
  json: toggle("print what was done as JSON"),
  device: choice(["cpu", "webgpu"], "where to run", { fallback: "cpu" }),
  threads: whole("threads of the CPU", { otherwise: "one per core" }),
};
export const encode = define({
  name: "encode",
  argument: {
    name: "pictures",
    help: "a picture, a folder, zip or tar of pictures or of CLASS/picture, or an npz of samples",
  },
  summary: "find the noise that a model would draw pictures from, to change them or draw them again",
  examples: [
    "guidestar encode three.png --class 3 --steps 100 --out latents.npz",
    "guidestar sample --from-latents latents.npz --out again.png",
    "guidestar sample --from-latents latents.npz --class 8 --cfg-scale 3 --out edited.png",
  ],
  options,
  notes:
    "Encoding is DDIM run backwards. The pictures are decoded too, and how far they are off is printed: root mean square per picture, in " +
    "steps of a byte, 0 ... 255. More steps make it less, and guidance makes it more.",
});
export type EncodeValues = ValuesOf<typeof encode>;
