import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { ModelError, UsageError } from "../../errors.ts";
import type { Guidance } from "../../sampling/guidance.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";
import type { Run } from "../../sampling/settings.ts";
import type { GuidanceValues } from "../commands/guidance-options.ts";

/** The guidance that the options ask for. */
export function guidanceOf(values: Partial<GuidanceValues>): Guidance {
  const { cfgScale, unconditional = false, apgEta: eta, apgThreshold, apgMomentum: momentum } = values;
  if (unconditional && cfgScale !== undefined && cfgScale !== 1)
    throw new UsageError(
      `--cfg-scale ${cfgScale} mixes in the prediction for the class, which --unconditional turns off; leave one out`,
    );
  if (values.autoguidanceScale !== undefined && values.autoguidanceScale !== 1 && values.weakModel === undefined)
    throw new UsageError("--autoguidance-scale needs a worse model to lead away from; give --weak-model FOLDER too");
  const projects = eta !== undefined || apgThreshold !== undefined || momentum !== undefined;
  return {
    unconditional,
    classifierFree: cfgScale,
    classifier: values.classifierScale,
    gradientAt: values.gradientAt,
    interval: values.guidanceInterval,
    schedule: values.guidanceSchedule,
    autoguidance: values.autoguidanceScale,
    cfgPlusPlus: values.cfgPlusPlus,
    rescale: values.cfgRescale,
    threshold: values.threshold,
    ...(projects && { apg: definedOf({ eta, threshold: apgThreshold, momentum }) }),
  };
}

const definedOf = (settings: Record<string, number | undefined>): Record<string, number> =>
  Object.fromEntries(Object.entries(settings).filter((entry): entry is [string, number] => entry[1] !== undefined));

/**
 * The weak model of autoguidance and what a record says of it, where options or the record of `--from` name one.
 *
 * @throws ModelError where its weights are others than those of the record; UsageError where the record has none
 */
export async function openWeakModel(
  folder: string | undefined,
  before: RunSpec | undefined,
): Promise<{ readonly model: Model; readonly record: NonNullable<RunSpec["weak"]> } | undefined> {
  if (before && !before.weak && folder !== undefined)
    throw new UsageError("--weak-model: the picture of --from was drawn without one; leave it out");
  const name = folder ?? before?.weak?.name;
  if (name === undefined) return undefined;
  const model = await loadModel(name);
  const { sha256 } = model.denoiser ?? { sha256: "" };
  if (before?.weak && before.weak.denoiser !== sha256)
    throw new ModelError(
      `${model.source}: the picture was guided by other weights than are there now; give their folder by --weak-model`,
    );
  return { model, record: { name, denoiser: sha256 } };
}

/** "classifier-free 2, classifier 1 at the mean, in noise 0.2 to 5" */
export function describeGuidance({ guidance, sampler }: Run): string {
  const { classifier, classifierFree, gradientAt, unconditional, cfgPlusPlus, interval, schedule, apg } = guidance;
  const { autoguidance = 1, rescale } = guidance;
  const at = sampler.kind === "ddpm" && gradientAt === "mean" ? " at the mean" : "";
  const isFree = classifierFree !== 1 || cfgPlusPlus === true;
  const scales = [
    ...(unconditional ? ["no class for the denoiser"] : []),
    ...(isFree ? [`${cfgPlusPlus ? "CFG++" : "classifier-free"} ${classifierFree}`] : []),
    ...(autoguidance === 1 ? [] : [`autoguidance ${autoguidance}`]),
    ...(classifier === 0 ? [] : [`classifier ${classifier}${at}`]),
  ];
  if (unconditional && classifier === 0 && autoguidance === 1)
    return "no class for the denoiser and no classifier: pictures of any class";
  if (scales.length === 0) return "no guidance";
  const mixes = isFree || autoguidance !== 1;
  const changes = [
    ...(mixes && rescale ? [`rescaled by ${rescale}`] : []),
    ...(mixes && apg ? [`projected, eta ${apg.eta}, threshold ${apg.threshold}, momentum ${apg.momentum}`] : []),
    ...(interval ? [`in noise ${interval[0]} to ${interval[1]}`] : []),
    ...(schedule ? [typeof schedule === "string" ? `${schedule} schedule` : `factors ${schedule.join(", ")}`] : []),
  ];
  return [...scales, ...changes].join(", ");
}
