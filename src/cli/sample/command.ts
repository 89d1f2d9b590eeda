import { define, type ValuesOf } from "../terminal/command.ts";
import { choice, real, text, toggle, whole } from "../terminal/option.ts";
import { guidanceOptions } from "./guidance-options.ts";
import { samplerNotes, samplerOptions, samplerOptionsOf } from "./sampler-options.ts";

const options = {
  model: text("name|folder", "bundled model, or model folder", { fallback: "digits" }),
  class: text("names", "classes to draw, with commas between: names or numbers; * or all for every one", {
    fallback: "*",
  }),
  count: whole("pictures to draw, the classes in turn", {
    most: 100_000,
    otherwise: "one of each class, 16 of a single one",
  }),
  ...samplerOptions,
  ...guidanceOptions,
  seed: whole("seed of the first picture; the others follow: n + 1, n + 2, ...", {
    fallback: 0,
    least: 0,
    most: 2 ** 52,
  }),
  batchSize: whole("most pictures at a time", { otherwise: "16", aliases: ["batch"] }),
  fromLatents: text("latents.npz", "start from what encode found; with another --class, change the pictures"),
  init: text("picture", "start from a picture: change it (--strength), or parts of it (--mask)"),
  strength: real("how much --init changes: above 0, to 1, which keeps nothing", { otherwise: "1 with --mask" }),
  mask: text("mask.png", "draw the white part of --init anew and keep the black one"),
  resample: whole("with --mask: times that each step is taken, so that both parts fit each other", {
    most: 1000,
    otherwise: "1",
  }),
  upsampler: text("name|folder", "model that enlarges the pictures, told the same classes"),
  ...samplerOptionsOf("upsampler", "the upsampler"),
  out: text("file.png", "the sheet", { fallback: "samples.png" }),
  npz: text("file.npz", "also the pictures as numpy arrays: arr_0 uint8 [N, H, W, C], arr_1 labels"),
  gif: text("file.gif", "also the sheet at every step, smaller where that would be huge; with --upsampler, its steps"),
  json: toggle("print what was done as JSON"),
  from: text("picture.png", "draw a picture again, from the record that it carries"),
  device: choice(["cpu", "webgpu"], "where to run", { otherwise: "cpu, or that of --from" }),
  threads: whole("threads of the CPU", { otherwise: "one per core" }),
};
export const sample = define({
  name: "sample",
  summary: "draw pictures of the classes that you ask for",
  examples: [
    "guidestar sample                                               # all ten digits",
    "guidestar sample --class 3,7 --count 16 --out grid.png",
    "guidestar sample --class 5 --unconditional --classifier-scale 3   # the classifier alone steers",
    "guidestar sample --sampler dpm++2m-sde --steps 20 --levels karras   # few steps",
    "guidestar sample --model runs/photos --class cat --count 8 --npz cats.npz --gif cats.gif",
    "guidestar sample --model runs/small --upsampler runs/large --upsampler-steps 25",
    "guidestar sample --cfg-scale 4 --guidance-interval 0.2:5          # guidance where it helps, and cheaper",
    "guidestar sample --model runs/photos --weak-model runs/early --autoguidance-scale 2",
    "guidestar sample --init three.png --strength 0.6 --class 8 --count 4",
    "guidestar sample --model runs/small --init cat.png --strength 0.5 --upsampler runs/large",
    "guidestar sample --init three.png --mask lower.png --resample 5 --class 3",
    "guidestar sample --from grid.png --out again.png               # the same picture, byte for byte",
  ],
  options,
  notes:
    `Samplers:\n${samplerNotes}` +
    "Two conventions of classifier-free guidance are in use: scale s mixes eps_u + s (eps_c - eps_u), so that 1 is off; w counts from " +
    "there, w = s - 1. --cfg-scale takes s.\n" +
    "A picture depends on its own seed alone, not on how many are drawn with it.",
});
export type SampleValues = ValuesOf<typeof sample>;
