import { number } from "../../setting.ts";
import { defineGuidance } from "../guidance.ts";
import { type GuidanceMix, linear } from "../mix.ts";
import type { Predictor, Scale } from "../predictor.ts";

/**
 * Autoguidance: weak + scale (strong - weak), where `weak` is a worse version of the same model, smaller or trained for less long, and
 * told the same class. Eq. 3 and section 4, Karras et al. 2024. It leads away from the errors that both make, and unlike a missing class
 * the weak model does not make pictures more alike. Scale 1 is off, and the weak model is not asked.
 *
 * Around classifier-free guidance it leads from the weak conditional prediction through the guided one.
 */
export function autoguidance(
  strong: Predictor,
  weak: Predictor,
  { scale, mix = linear }: { readonly scale: Scale; readonly mix?: GuidanceMix },
): Predictor {
  if (scale === 1) return strong;
  return (xt, c, condition) => mix(strong(xt, c, condition), weak(xt, c, condition), scale, xt, c);
}

export const autoguidanceGuidance = defineGuidance({
  settings: {
    /** Scale of autoguidance by a weak model; 1 is off. By default 2 where a weak model is given. */
    autoguidanceScale: number("with --weak-model: how far; 1 is off", {
      off: 1,
      otherwise: "2",
      cost: "on",
      formerly: "autoguidance",
    }),
  },
  scale: "autoguidanceScale",
  mixes: true,
  network: "weakModel",
  usual: (_, { autoguidanceScale = 2 }, { weakModel }) => (weakModel ? { autoguidanceScale } : {}),
  problem: ({ autoguidanceScale }, { weakModel }) =>
    autoguidanceScale !== 1 && !weakModel
      ? "autoguidance needs a weak model to lead away from, but none was given; give one, or use autoguidanceScale 1"
      : undefined,
  guide: ({ autoguidanceScale }, predictor, { weak, mix, scaleOf }) =>
    autoguidanceScale === 1 ? predictor : autoguidance(predictor, weak!, { scale: scaleOf("autoguidanceScale"), mix }),
  describe: ({ autoguidanceScale }) => (autoguidanceScale === 1 ? undefined : `autoguidance ${autoguidanceScale}`),
});
