import type { Model } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import { describeNoise } from "../diffusion/process-config.ts";
import { ModelError, UsageError } from "../errors.ts";
import { changingGuidance, type Guidance, guidances, type SettledGuidance } from "../guidance/guidances.ts";
import type { Facts } from "../guidance/settle.ts";
import { denoiserSignature } from "../models/families.ts";
import type { DenoiserSignature } from "../models/family.ts";
import { definitionOf, type Sampler } from "../samplers/sampler.ts";
import { usualValue } from "../setting.ts";
import { show } from "../tensor/shape.ts";

/** What guidance needs to know of a model. */
type Described = Pick<Model, "source" | "denoiser" | "classifier">;

/** What guidance knows of a model and of what stands around it. Throws ModelError for a weak model that does not fit. */
export function factsOf(
  model: Described,
  { sampler, weakModel }: { readonly sampler: Sampler; readonly weakModel: Model | undefined },
): Facts {
  const { denoiser, classifier } = model;
  if (weakModel) checkWeakModel(model, weakModel);
  const { nullLabel, maxCfgScale }: Partial<DenoiserSignature> = denoiser ? denoiserSignature(denoiser) : {};
  return {
    nullLabel: nullLabel !== undefined,
    maxCfgScale,
    classifier: classifier !== undefined,
    weakModel: weakModel !== undefined,
    sampler: definitionOf(sampler),
  };
}

/** Every scale at the value where it is off. */
export const guidanceOff: Guidance = Object.fromEntries(
  guidances.flatMap(({ scale, settings }) => (scale === undefined ? [] : [[scale, usualValue(settings[scale]!)]])),
);

/** Throws UsageError where guidance is not the same at every step; `what` cannot follow that. */
export function checkSteady(guidance: SettledGuidance, what: string): void {
  const changing = changingGuidance(guidance);
  if (changing.length > 0)
    throw new UsageError(`${what}: guidance must be the same at every step; leave out ${changing.join(", ")}`);
}

/** Throws ModelError unless a weak model draws the same pictures of the same noise. */
function checkWeakModel(model: Described, weak: Model): void {
  if (!weak.denoiser)
    throw new ModelError(`${weak.source}: the weak model has no denoiser, so it cannot guide; give another one`);
  if (!model.denoiser) return;
  const [ours, theirs] = [describe(model.denoiser), describe(weak.denoiser)];
  if (ours !== theirs)
    throw new ModelError(
      `${weak.source}: a weak model draws the same pictures from the same noise as the one that it guides, but it is for ${theirs}, and ${model.source} for ${ours}`,
    );
}

function describe(record: DenoiserRecord): string {
  const { imageShape, lowRes, classes } = denoiserSignature(record);
  const from = lowRes ? ` enlarged from side ${lowRes[1]}` : "";
  return `images ${show(imageShape)}${from} of ${classes ?? "no"} classes, ${describeNoise(record.process)}`;
}
