import { levelSpacings, samplerKinds } from "../../checkpoint/schema.ts";
import { define, type ValuesOf } from "../command.ts";
import { choice, custom, real, text, toggle, whole } from "../option.ts";
import { guidanceOptions } from "./guidance-options.ts";

const steps = <const S extends { otherwise: string }>(help: string, settings: S) =>
  custom("n|spec", help, (value) => (/^\d+$/.test(value) ? Number(value) : value), settings);

const options = {
  model: text("name|folder", "bundled model, or model folder", { fallback: "digits" }),
  class: text("names", "classes to draw, with commas between: names or numbers, or all", { fallback: "all" }),
  count: whole("pictures to draw, the classes in turn", {
    most: 100_000,
    otherwise: "one of each class, 16 of a single one",
  }),
  sampler: choice(samplerKinds, "how noise becomes a picture: see below", { otherwise: "the model's, else dpm++2m" }),
  steps: steps('steps, spread evenly; or as papers write them: "ddim25", "10,10,20"', {
    otherwise: "the model's, else what is usual for the sampler",
  }),
  respacing: text(
    "spec",
    'in place of --steps, the timesteps of the reference\'s --timestep_respacing: "250" keeps the first and the last',
  ),
  levels: choice(
    levelSpacings,
    "noise levels to visit: evenly by the model's timesteps, dense where there is little noise, or by one factor",
    { otherwise: "the model's, else chain for ddim, ddpm, sa-solver, karras for the others" },
  ),
  eta: real("randomness of ddim, dpm++2m-sde and sa-solver: 0 none, 1 as much as ddpm", {
    least: 0,
    most: 1,
    otherwise: "the model's, else 0; 1 for dpm++2m-sde",
  }),
  churn: real("noise that euler and heun add and remove again, over all steps", {
    least: 0,
    otherwise: "the model's, else 0",
  }),
  order: whole("images that a step of sa-solver is predicted from", { most: 4, otherwise: "the model's, else 1" }),
  corrections: whole("Langevin steps of langevin and pc at each noise level", { most: 1000, otherwise: "5 and 1" }),
  snr: real("size of these steps: above 0, below 1", { otherwise: "0.25 and 0.16" }),
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
  upsamplerSampler: choice(samplerKinds, "sampler of the upsampler", { otherwise: "the upsampler's, else dpm++2m" }),
  upsamplerSteps: steps("steps of the upsampler, as --steps", {
    otherwise: "the upsampler's, else 10 for dpm++2m, 50 for ddim, 250 for ddpm",
  }),
  upsamplerEta: real("randomness of the upsampler's sampler, as --eta", {
    least: 0,
    most: 1,
    otherwise: "the upsampler's, as of --eta",
  }),
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
    "Samplers. ddim: straight steps along the probability flow, or random ones (--eta). ddpm: ancestral sampling, many steps. euler, heun: the " +
    "flow by Euler's and Heun's method, heun with two runs of the network a step; --churn makes them random. dpm++2m, dpm++2m-sde: " +
    "DPM-Solver++ of second order, for the flow and at random. sa-solver: Adams predictor and corrector of any --order. langevin: " +
    "annealed Langevin dynamics. pc: ancestral steps, each corrected by Langevin dynamics.\n" +
    "Two conventions of classifier-free guidance are in use: scale s mixes eps_u + s (eps_c - eps_u), so that 1 is off; w counts from " +
    "there, w = s - 1. --cfg-scale takes s.\n" +
    "A picture depends on its own seed alone, not on how many are drawn with it.",
});
export type SampleValues = ValuesOf<typeof sample>;
