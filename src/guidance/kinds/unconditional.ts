import { toggle } from "../../setting.ts";
import { defineGuidance } from "../guidance.ts";
import { type Predictor, repeated } from "../predictor.ts";

/** Asks for no class, whatever the condition says: the network sees its null label. */
export const unconditional =
  (predictor: Predictor, nullLabel: number): Predictor =>
  (xt, c, condition) =>
    predictor(xt, c, { ...condition, label: repeated(nullLabel, xt) });

/** Why there is none without a null label. */
export const noNullLabel =
  "unconditional prediction and classifier-free guidance need a denoiser with a null label; train one with label dropout";

export const unconditionalGuidance = defineGuidance({
  settings: {
    /** The denoiser is told no class, so that the classifier alone steers. */
    unconditional: toggle("tell the denoiser no class, so that the classifier alone steers", { cost: "on" }),
  },
  always: true,
  problem: ({ unconditional }, { nullLabel }) => (unconditional && !nullLabel ? noNullLabel : undefined),
  tell: ({ unconditional: isOn }, predictor, nullLabel) => (isOn ? unconditional(predictor, nullLabel!) : predictor),
  describe({ unconditional }, { guided }) {
    if (guided) return unconditional ? "no class for the denoiser" : undefined;
    return unconditional ? "no class for the denoiser and no classifier: pictures of any class" : "no guidance";
  },
});
