import { RuntimeFailure } from "../../errors.ts";
import type { TrainingStopped } from "../../training/go-back.ts";

/**
 * The error of a run whose loss exploded, with the command that saves it: a tenth of the learning rate, and clipping where there was none.
 *
 * @param again the command that goes on
 */
export function wayOut(
  { reason, lastGood }: TrainingStopped,
  again: string,
  { learningRate, maxGradientNorm }: { readonly learningRate: number; readonly maxGradientNorm: number },
): RuntimeFailure {
  const rate = Number((learningRate / 10).toPrecision(3));
  const lower = `--learning-rate ${rate}${maxGradientNorm === 0 ? " --max-gradient-norm 1" : ""}`;
  if (!lastGood) return new RuntimeFailure(`${reason} Start again in another folder, with ${lower}.`);
  return new RuntimeFailure(
    `${reason} To go back to it with a lower rate: ${again} --from-step ${lastGood.step} ${lower}`,
  );
}
