import type { CoefficientName, Coefficients } from "../../diffusion/noise-schedule.ts";
import type { Prediction } from "../../diffusion/prediction.ts";
import { number, toggle } from "../../setting.ts";
import { concat } from "../../tensor/functions.ts";
import { scalar, type Tensor } from "../../tensor/tensor.ts";
import { defineGuidance } from "../guidance.ts";
import { type GuidanceMix, linear, plusPlus } from "../mix.ts";
import { labelsOf, type Predictor, repeated, type Scale } from "../predictor.ts";
import { noNullLabel } from "./unconditional.ts";

/** Settings of `classifierFree`. */
export interface ClassifierFreeOptions {
  /** 1 is the conditional prediction, 0 the unconditional one. The paper counts from there: its w is scale - 1. */
  readonly scale: Scale;
  /** The label that stands for no class. */
  readonly nullLabel: number;
  /** How the two predictions are mixed; `linear` by default. */
  readonly mix?: GuidanceMix;
}

/**
 * Classifier-free guidance, eps_u + scale (eps_c - eps_u). Eq. 6, Ho & Salimans 2022. Both predictions run as one batch of 2N.
 * Scale 1 is off, and only the conditional prediction is computed; but not for CFG++, which also needs the unconditional noise there.
 */
export function classifierFree(
  predictor: Predictor,
  { scale, nullLabel, mix = linear }: ClassifierFreeOptions,
): Predictor {
  if (scale === 1 && mix !== plusPlus) return predictor;
  return (xt, c, condition) => {
    const labels = concat([labelsOf(condition, "classifier-free guidance"), repeated(nullLabel, xt)], 0);
    const { lowRes } = condition;
    const both = predictor(twice(xt), doubled(c), {
      ...condition,
      label: labels,
      ...(lowRes && { lowRes: twice(lowRes) }),
    });
    const [conditional, unconditional] = halves(both);
    return mix(conditional, unconditional, scale, xt, c);
  };
}

const twice = (tensor: Tensor): Tensor => concat([tensor, tensor], 0);

const doubled = (c: Coefficients): Coefficients =>
  Object.fromEntries(Object.entries(c).map(([name, values]) => [name, twice(values)])) as Record<
    CoefficientName,
    Tensor
  >;

/** The predictions of a batch of 2N, N and N. */
function halves(both: Prediction): [Prediction, Prediction] {
  const half = (i: number): Prediction =>
    Object.fromEntries(
      Object.entries(both).map(([name, tensor]: [string, Tensor]) => [name, tensor.split(0, 2)[i]!]),
    ) as unknown as Prediction;
  return [half(0), half(1)];
}

/** Tells a student the scale, which it learnt to follow as if two predictions were mixed; scale 1 is the conditional one. */
export const toldScale =
  (predictor: Predictor, scale: Scale): Predictor =>
  (xt, c, condition) => {
    const each = typeof scale === "number" ? scalar(scale) : scale;
    return predictor(xt, c, { ...condition, guidanceScale: each.expand(xt.shape[0]!) });
  };

const offNextToPlusPlus =
  "CFG++ stays between the two predictions, where APG and rescaling have nothing to take back; choose one";

/** Why a student cannot follow a scale. */
function problemOfTold(
  { cfgScale, cfgPlusPlus }: { readonly cfgScale: number; readonly cfgPlusPlus: boolean },
  most: number,
): string | undefined {
  if (cfgPlusPlus)
    return "CFG++ mixes two predictions, but this student is told the scale and predicts once; leave it out";
  return cfgScale >= 1 && cfgScale <= most
    ? undefined
    : `cfgScale must be from 1 to ${most}, the scales that this student learnt, but is ${cfgScale}`;
}

export const classifierFreeGuidance = defineGuidance({
  settings: {
    /** Scale of classifier-free guidance; 1 is off. Papers that count from there write w = scale - 1. */
    cfgScale: number("classifier-free guidance; 1 is off. Where papers write w, give w + 1", {
      off: 1,
      otherwise: "2; 0.6 with --cfg-plus-plus, 1 with --weak-model",
      cost: "on",
      formerly: "classifierFree",
    }),
    /** CFG++, for DDIM: the scale is then a lambda from 0 to 1, 0.6 by default, and never off. */
    cfgPlusPlus: toggle("CFG++, for ddim: --cfg-scale is then a lambda from 0 to 1", { cost: "on" }),
  },
  scale: "cfgScale",
  told: true,
  mixes: true,
  on: ({ cfgScale, cfgPlusPlus }) => cfgPlusPlus || cfgScale !== 1,
  usual({ cfgPlusPlus }, record, { nullLabel, weakModel, maxCfgScale, isOn }) {
    if (maxCfgScale !== undefined) return { cfgScale: record.cfgScale ?? Math.min(2, maxCfgScale), cfgPlusPlus };
    const plus = cfgPlusPlus ?? record.cfgPlusPlus ?? false;
    // A weak model takes the place of the missing class, as in its paper, unless both are asked for.
    if (!nullLabel || weakModel || isOn("unconditional")) return { cfgScale: 1, cfgPlusPlus: plus };
    const recorded = plus === (record.cfgPlusPlus ?? false) ? record.cfgScale : undefined;
    return { cfgScale: recorded ?? (plus ? 0.6 : 2), cfgPlusPlus: plus };
  },
  problem({ cfgScale, cfgPlusPlus }, { nullLabel, sampler, maxCfgScale, isOn }) {
    if (maxCfgScale !== undefined) return problemOfTold({ cfgScale, cfgPlusPlus }, maxCfgScale);
    if (!cfgPlusPlus && cfgScale === 1) return undefined;
    if (isOn("unconditional"))
      return `cfgScale ${cfgScale} mixes in the prediction for the class, which unconditional turns off; choose one`;
    if (!nullLabel) return noNullLabel;
    if (!cfgPlusPlus) return undefined;
    if (!(cfgScale >= 0 && cfgScale <= 1))
      return `CFG++ mixes by a scale from 0 (no class) to 1 but it is ${cfgScale}; usual ones are 0.2 to 0.8`;
    if (sampler && sampler.reads !== "renoise")
      return `CFG++ changes the step of ddim, but the sampler is ${sampler.kind}; use ddim`;
    return undefined;
  },
  excludes: ({ cfgPlusPlus }): Readonly<Record<string, string>> =>
    cfgPlusPlus
      ? {
          apgEta: offNextToPlusPlus,
          cfgRescale: offNextToPlusPlus,
          autoguidanceScale:
            "CFG++ takes its noise from the unconditional prediction, not from a weak model; choose one",
          guidanceSchedule: "CFG++ is itself a schedule of the scale; use it alone, or leave cfgPlusPlus out",
        }
      : {},
  reads: ({ cfgPlusPlus }) => (cfgPlusPlus ? "renoise" : undefined),
  mix: ({ cfgPlusPlus }, mix) => (cfgPlusPlus ? plusPlus : mix),
  guide({ cfgScale, cfgPlusPlus }, predictor, { mix, nullLabel, toldScale: isTold, scaleOf }) {
    if (isTold) return toldScale(predictor, scaleOf("cfgScale"));
    return cfgPlusPlus || cfgScale !== 1
      ? classifierFree(predictor, { scale: scaleOf("cfgScale"), nullLabel: nullLabel!, mix })
      : predictor;
  },
  describe: ({ cfgScale, cfgPlusPlus }) =>
    cfgPlusPlus || cfgScale !== 1 ? `${cfgPlusPlus ? "CFG++" : "classifier-free"} ${cfgScale}` : undefined,
});
