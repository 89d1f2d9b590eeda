import { UsageError } from "../../errors.ts";
import { checkInterval, type Interval } from "../../guidance/interval.ts";
import { checkSchedule, type ScaleSchedule, scheduleNames } from "../../guidance/schedule.ts";
import type { Values } from "../option.ts";
import { choice, custom, real, text, toggle } from "../option.ts";

const numbersIn = (value: string, separator: string): number[] =>
  value.split(separator).map((part) => (part.trim() === "" ? Number.NaN : Number(part)));

function parseInterval(value: string, flag: string): Interval {
  const [low = Number.NaN, high = Number.NaN, ...more] = numbersIn(value, ":");
  if (more.length > 0 || Number.isNaN(low) || Number.isNaN(high))
    throw new UsageError(`${flag} must be two noise levels, as 0.2:5, but is "${value}"`);
  checkInterval([low, high]);
  return [low, high];
}

function parseSchedule(value: string, flag: string): ScaleSchedule {
  const name = scheduleNames.find((known) => known === value);
  if (name) return name;
  const factors = numbersIn(value, ",");
  if (factors.some(Number.isNaN))
    throw new UsageError(`${flag} must be ${scheduleNames.join(", ")} or factors, as 0,1,2, but is "${value}"`);
  checkSchedule(factors);
  return factors;
}

/** How samples are guided. */
export const guidanceOptions = {
  cfgScale: real("classifier-free guidance; 1 is off. Where papers write w, give w + 1", {
    otherwise: "the model's, else 2; 0.6 with --cfg-plus-plus, 1 with --weak-model",
  }),
  classifierScale: real("classifier guidance; 0 is off", { otherwise: "the model's, else 0; 2 with --unconditional" }),
  unconditional: toggle("tell the denoiser no class, so that the classifier alone steers"),
  gradientAt: choice(["x_t", "mean"], "where ddpm takes the classifier's gradient", { otherwise: "x_t" }),
  guidanceInterval: custom(
    "low:high",
    "noise levels sigma / alpha with guidance; outside of them it costs nothing",
    parseInterval,
    {
      otherwise: "all",
    },
  ),
  guidanceSchedule: custom(
    "name|f,f,...",
    `growth of all scales over the steps: ${scheduleNames.join(", ")}, or factors of what they add`,
    parseSchedule,
    { otherwise: "constant" },
  ),
  weakModel: text(
    "folder",
    "a worse version of the model, smaller or trained for less long, to lead away from (autoguidance)",
  ),
  autoguidanceScale: real("with --weak-model: how far; 1 is off", { otherwise: "2" }),
  cfgPlusPlus: toggle("CFG++, for ddim: --cfg-scale is then a lambda from 0 to 1"),
  cfgRescale: real("phi: share of their unguided spread that images get back from classifier-free guidance; 0 is off", {
    least: 0,
    most: 1,
    otherwise: "0",
  }),
  threshold: real("dynamic thresholding: limit images to this percentile of their values, 99.5, and not to [-1, 1]", {
    least: 0,
    most: 100,
    otherwise: "off",
  }),
  apgEta: real("adaptive projected guidance: share that stays of what guidance adds along the image", {
    otherwise: "0 with another --apg, else off",
  }),
  apgThreshold: real("the same: longest difference between the predictions, as a norm; 0 is no limit", {
    least: 0,
    otherwise: "0",
  }),
  apgMomentum: real("the same: weight of the last difference, negative to turn away from it", { otherwise: "0" }),
};
export type GuidanceValues = Values<typeof guidanceOptions>;
