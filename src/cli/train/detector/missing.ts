import { findDetector } from "../../../checkpoint/detector-folder.ts";
import type { Dataset } from "../../../data/dataset.ts";
import { digitsDetector } from "../../../evaluation/detectors/digits.ts";
import { misfit } from "../../../evaluation/detectors/fits.ts";
import type { Backend } from "../../../runtime/backend.ts";
import type { labelOptions } from "../../terminal/label-options.ts";
import { flagOf } from "../../terminal/option.ts";
import type { DenoiserValues } from "../denoiser.ts";
import { quoted } from "../outputs.ts";

/**
 * The command that makes a detector of a model's images, into its folder. Undefined where the folder carries one, the run was given one, the
 * bundled one fits, or there are no classes to tell apart.
 */
export async function missingDetector(
  values: Pick<DenoiserValues, "out" | keyof typeof labelOptions> & Partial<Pick<DenoiserValues, "detector">>,
  dataset: Dataset,
  backend: Backend,
): Promise<string | undefined> {
  const { out, detector } = values;
  if (detector !== undefined || findDetector(out) !== undefined || dataset.classes.length < 2) return undefined;
  await using digits = await digitsDetector(backend);
  if (!misfit(digits, dataset)) return undefined;
  // Size and background are those of the model in --out.
  const reading = (["labels", "labelColumn", "range"] as const).flatMap((name) =>
    values[name] === undefined ? [] : [flagOf(name), quoted(values[name])],
  );
  return ["guidestar train detector --data", quoted(dataset.path), ...reading, "--out", quoted(out)].join(" ");
}
