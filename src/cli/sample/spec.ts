import { readFile } from "node:fs/promises";
import type { Model } from "../../checkpoint/model.ts";
import { splitNames } from "../../class-names.ts";
import { DataError, ModelError, ShapeError, UsageError } from "../../errors.ts";
import { asks, type Guidance, guidanceSettings, type SettledGuidance } from "../../guidance/guidances.ts";
import { neededReads } from "../../guidance/settle.ts";
import { readPngText } from "../../images/png.ts";
import { denoiserSignature } from "../../models/families.ts";
import { describeSampler, type Sampler, type SamplerDefinition, samplerSettings } from "../../samplers/sampler.ts";
import { type BundledSettings, settleSampler } from "../../samplers/samplers.ts";
import { parseRunSpec, pngKeyword, type RunSpec } from "../../sampling/run-spec.ts";
import type { RunOptions } from "../../sampling/settings.ts";
import { flagOf, type Values } from "../terminal/option.ts";
import type { SampleValues } from "./command.ts";
import type { GuidanceValues } from "./guidance-options.ts";
import type { samplerOptions } from "./sampler-options.ts";

/** The spec that a PNG carries. Throws DataError where there is none. */
export async function readSpec(path: string): Promise<RunSpec> {
  let text: string | undefined;
  try {
    text = readPngText(await readFile(path))[pngKeyword];
  } catch (cause) {
    throw new DataError(`${path}: cannot be read (${(cause as Error).message})`, { cause });
  }
  if (text === undefined)
    throw new DataError(`${path}: carries no record of a sampling run; guidestar writes one into its own PNG files`);
  return parseRunSpec(text, path);
}

/** Options that leave the pictures as they are. */
const allowedWithFrom: readonly string[] = [
  "from",
  "model",
  "upsampler",
  "weakModel",
  "out",
  "npz",
  "gif",
  "json",
  "device",
  "threads",
  "verbose",
];

/** Throws UsageError where options were given that `--from` decides. */
export function checkFrom(given: ReadonlySet<string>): void {
  const decided = [...given].filter((key) => !allowedWithFrom.includes(key)).map(flagOf);
  if (decided.length > 0)
    throw new UsageError(
      `--from draws the same picture again, so ${decided.join(", ")} cannot be given with it; leave one out`,
    );
}

/** Throws UsageError where models are given that the record of `--from` has no use for. */
export function checkModelsOfFrom(
  { weakModel, upsampler }: Pick<SampleValues, "weakModel" | "upsampler">,
  before: RunSpec,
): void {
  for (const [key, given] of Object.entries({ weakModel, upsampler }))
    if (given !== undefined && before[key as "weakModel" | "upsampler"] === undefined)
      throw new UsageError(`${flagOf(key)}: the picture of --from was drawn without one; leave it out`);
}

/**
 * What work by a picture's record gives. All that decides what is drawn is in the record, so what excludes each other, or does not fit the model,
 * is a fault of the record.
 */
export async function agreeing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof UsageError || cause instanceof ShapeError)) throw cause;
    throw new DataError(
      `${path}: its record of the sampling run contradicts itself, or the model: ${cause.message.replace(/^sample: /, "")}`,
      { cause },
    );
  }
}

/** Throws ModelError unless these are the networks that the spec names. */
export function checkSameModel({ model }: RunSpec, { source, denoiser, classifier }: Model): void {
  const same =
    denoiser?.sha256 === model.denoiser && (model.classifier === undefined || classifier?.sha256 === model.classifier);
  if (!same)
    throw new ModelError(
      `${source}: the picture was drawn by other weights than are there now; give their folder by --model`,
    );
}

type SamplerValues = Partial<Values<typeof samplerOptions> & GuidanceValues>;
type RunValues = Pick<SampleValues, "class" | "count" | "seed" | "batchSize"> & SamplerValues;

/**
 * The run that the options ask for.
 *
 * @param weakModel the model of that name
 * @param usual the sampler where neither options nor model say which
 */
export function runOptions(
  values: RunValues,
  model: Model,
  weakModel?: Model,
  usual?: SamplerDefinition,
): RunOptions & { readonly sampler: Sampler } {
  const { class: names, seed, batchSize } = values;
  const sampler = samplerOf(values, model, "--", usual);
  const labels = askedClasses(names, model);
  const { count = labels.length > 1 ? labels.length : 16 } = values;
  return {
    ...(labels.length > 0 && { labels }),
    seeds: Array.from({ length: count }, (_, i) => seed + i),
    sampler,
    guidance: askedGuidance(values),
    ...(weakModel && { weakModel }),
    ...(batchSize !== undefined && { batchSize }),
  };
}

/** The guidance that the options ask for. */
export const askedGuidance = (values: Partial<GuidanceValues>): Guidance =>
  Object.fromEntries(Object.keys(guidanceSettings).map((name) => [name, values[name as keyof Guidance]]));

/** What `--class` names: `*` is every class, and so is `all`, unless a class is
 * called so; nothing where the model has no classes and all are asked for. */
function askedClasses(names: string, { classes }: Model): string[] {
  const every = names === "*" || (names === "all" && !classes.includes("all"));
  const asked = every ? [...classes] : splitNames(names, classes);
  if (asked.length === 0 && classes.length > 0) throw new UsageError(`--class names no class: "${names}"`);
  return asked;
}

/** Whether a run tells the denoiser, or the classifier that leads it, a class: else its labels stand for none. */
export const tellsClass = (guidance: SettledGuidance, { denoiser }: Pick<Model, "denoiser">): boolean =>
  asks("classifier", guidance) ||
  (denoiser !== undefined && denoiserSignature(denoiser).classes !== undefined && !guidance.unconditional);

/** The run that decodes latents: that which encoded them, but for what the options change. */
export function decodingOptions(
  { class: names, cfgScale, batchSize }: RunValues,
  spec: RunSpec,
  model: Model,
  edits: boolean,
): RunOptions {
  const { labels, seeds, sampler, guidance, clip } = spec;
  const asked = edits ? askedClasses(names, model) : [];
  if (guidance.unconditional && !edits && cfgScale !== undefined && cfgScale !== 1)
    throw new UsageError(
      `--cfg-scale ${cfgScale} mixes in the prediction for a class, but the latents were encoded without one; give --class too, or leave it out`,
    );
  return {
    labels: asked.length > 0 ? asked : labels,
    seeds,
    sampler,
    // A class that is asked for is told.
    guidance: {
      ...guidance,
      ...(edits && { unconditional: false }),
      ...(cfgScale !== undefined && { cfgScale }),
    },
    clip,
    batchSize: batchSize ?? spec.batchSize,
  };
}

/** "; from three.png, strength 0.6" */
export const describeInput = (input: RunSpec["input"]): string => {
  if (!input) return "";
  if (input.kind === "latents") return `; from ${input.path}`;
  const parts = input.kind === "inpaint" ? `, drawn where ${input.mask.path} is white` : "";
  return `; from ${input.path}${parts}, strength ${input.strength}`;
};

/** A model's sampler with what options ask for, whose flags begin with `prefix`. */
export function samplerOf(values: SamplerValues, model: Model, prefix = "--", usual?: SamplerDefinition): Sampler {
  const { sampler, steps, respacing, levels } = values;
  if (steps !== undefined && respacing !== undefined)
    throw new UsageError("--steps and --respacing both say which steps are taken; leave one out");
  const own = Array.from(samplerSettings().keys(), (name) => [name, values[name as keyof BundledSettings]]);
  return settleSampler(
    { ...Object.fromEntries(own), kind: sampler, steps: respacing ?? steps, levels },
    {
      record: model.sampling,
      process: model.denoiser?.process,
      usual,
      nameOf: (name) => `${prefix}${flagOf(name).slice(2)}`,
      reads: neededReads(askedGuidance(values), model.sampling),
    },
  );
}

/** "enlarged by runs/large, ddim, 25 steps" */
export const describeUpsampling = ({ name, sampler }: NonNullable<RunSpec["upsampler"]>): string =>
  `enlarged by ${name}, ${describeSampler(sampler)}`;
