import { define, type ValuesOf } from "../terminal/command.ts";
import { labelOptions } from "../terminal/label-options.ts";
import { real, text, whole } from "../terminal/option.ts";
import { trainOptions } from "../train/options.ts";

const { seed, microBatch, decay, maxGradientNorm, emaRate, storage, checkpointEvery } = trainOptions;
const { checkpointMinutes, resume, fromStep, device, threads } = trainOptions;

const options = {
  out: text("folder", "model folder to write", { required: true }),
  data: text(
    "path",
    "images to tune on in place of the teacher's drawing, as of train denoiser; then without guidance",
    {
      otherwise: "none",
    },
  ),
  ...labelOptions,
  maxCfgScale: real("largest --cfg-scale that the student learns, from 1 to this", { fallback: 4, least: 1 }),
  steps: whole("steps in all", { otherwise: "800; with --minutes no limit" }),
  minutes: real("minutes in all, in place of --steps or as a limit beside it", { otherwise: "no limit" }),
  batchSize: whole("places of trajectories per step", { fallback: 32 }),
  uses: whole("places taken of each trajectory that the teacher draws", { fallback: 10 }),
  teacherSteps: whole("steps of the teacher's sampler, dpm++2m", { fallback: 10 }),
  microBatch,
  seed: { ...seed, help: "of trajectories, classes, scales" },
  learningRate: real("highest learning rate of AdamW", { fallback: 1e-3, least: 0 }),
  warmUpSteps: whole("steps over which the learning rate rises", {
    least: 0,
    otherwise: "a tenth of --steps, at most 100",
  }),
  decay,
  maxGradientNorm,
  emaRate: { ...emaRate, fallback: 0.999 },
  storage,
  checkpointEvery,
  checkpointMinutes,
  sampleEvery: whole("steps between sample sheets", { fallback: 500 }),
  resume,
  fromStep,
  device,
  threads,
};
export const distill = define({
  name: "distill",
  argument: {
    name: "model",
    help: "bundled model, or model folder: the teacher; with --resume it is known",
    fallback: "",
  },
  summary: "make a student of a model, which draws in one or a few steps",
  examples: [
    "guidestar distill digits --out runs/quick",
    "guidestar sample --model runs/quick --steps 1 --cfg-scale 1.5",
    "guidestar distill --out runs/quick --resume                # after Ctrl-C or a crash",
  ],
  options,
  notes:
    "Needs no images: the teacher draws while the student learns, from any place of the teacher's way, where it ends. Guidance is learnt " +
    "too: the student is told --cfg-scale and predicts once where the teacher predicts twice.\n" +
    "Writes model.json, denoiser.safetensors, checkpoints/, metrics.jsonl and samples/ into --out. Students have no students.",
});
export type DistillValues = ValuesOf<typeof distill>;
