import { linear, type Mix } from "./mix.ts";
import type { Predictor, Scale } from "./predictor.ts";

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
  { scale, mix = linear }: { readonly scale: Scale; readonly mix?: Mix },
): Predictor {
  if (scale === 1) return strong;
  return (xt, c, condition) => mix(strong(xt, c, condition), weak(xt, c, condition), scale, xt, c);
}
