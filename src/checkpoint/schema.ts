import * as z from "zod";
import { background } from "../background.ts";
import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { UsageError } from "../errors.ts";
import { recordedSettings } from "../guidance/guidances.ts";
import { readSamplerRecord } from "../samplers/samplers.ts";
import { fromVersion1 } from "../setting.ts";

/*
 * model.json: everything about a model but its weights. Bounds keep a damaged or hostile file from asking for absurd networks.
 */

const count = z.int().min(1).max(65536);
const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
/** A file of the same folder. */
const fileName = z.string().regex(/^[\w-]+\.safetensors$/, "expected NAME.safetensors, a file of the same folder");

const processSchema = z.strictObject({
  schedule: z.enum(["linear", "cosine", "flow", "edm"]),
  steps: z.int().min(1).max(1_000_000),
  zeroTerminalSnr: z.boolean().optional(),
  sigmaRange: z.tuple([z.number().positive(), z.number().positive()]).readonly().optional(),
  sigmaData: z.number().positive().optional(),
  prediction: z.enum(["eps", "x0", "previous", "v", "velocity", "edm"]),
  variance: z.enum(["fixed-small", "fixed-large", "learned", "learned-range"]),
  rescaleTimesteps: z.boolean(),
  consistency: z.boolean().optional(),
}) satisfies z.ZodType<ProcessConfig>;

const network = {
  /** Its family; `familyOf` finds it. */
  kind: z.string(),
  /** What the family makes a network of; its schema says what may be in it. */
  config: z.custom<object>(isObject, "expected an object"),
  /** Weights: a safetensors file of the same folder. */
  file: fileName,
  sha256,
  /** How many learned numbers it holds. */
  parameters: z.int().min(1),
  /** How it was trained: options, data, steps, losses. For people; nothing reads it. */
  training: z.record(z.string(), z.unknown()).readonly().optional(),
};

const denoiserSchema = z.strictObject({
  ...network,
  process: processSchema,
  /** Of a student: the model that it learnt from, as it was given, and the SHA-256 of that denoiser. */
  teacher: z.strictObject({ name: z.string(), sha256 }).optional(),
});

const noisySchema = z.strictObject({
  ...network,
  /** The noise that it knows; classifier guidance needs the denoiser's. */
  process: processSchema.omit({ prediction: true, variance: true, consistency: true }),
});

/** What a function reads of a JSON object; the UsageError that it throws is the schema's problem. */
export const readBy = <T>(read: (json: Readonly<Record<string, unknown>>) => T) =>
  z.record(z.string(), z.unknown()).transform((json, context): T => {
    try {
      return read(json);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  });

/** Settings of `sample` where the caller gives none: of its sampler, and of guidance. */
const samplingSchema = readBy(readSamplerRecord(recordedSettings));

export const modelFormat = "guidestar-model-2";

export const modelSchema = z.strictObject({
  format: z.literal(modelFormat, `expected "${modelFormat}"; a newer version of guidestar may have written it`),
  /** Class names, in the order of the labels. */
  classes: z.array(z.string()).max(65536).readonly(),
  /** [C, H, W] of one image. */
  imageShape: z.tuple([count, count, count]).readonly(),
  /** What becomes of pictures before the networks see them, beside pixel values 0 ... 255 becoming -1 ... 1. */
  preprocessing: z.strictObject({
    /** Side that they are resized and centre-cropped to; absent where they were of one size already. */
    size: count.optional(),
    /** What transparent pixels show; absent where it is white, or nothing was transparent. */
    background: z.string().refine(background.accepts, `expected ${background.expected}`).optional(),
  }),
  sampling: samplingSchema.optional(),
  denoiser: denoiserSchema.optional(),
  classifier: noisySchema.optional(),
});

/** What model.json holds, apart from its version: the images, the classes, and a record of each network. */
export type ModelRecord = z.infer<typeof modelSchema>;
/** A denoiser in model.json: its family and config, its process, and the file of its weights. */
export type DenoiserRecord = z.infer<typeof denoiserSchema>;
/** A noisy classifier in model.json: its family and config, the process whose noise it knows, and the file of its weights. */
export type ClassifierRecord = z.infer<typeof noisySchema>;
/** Settings of sampling that a model brings for those that a call leaves open. */
export type SamplingDefaults = z.infer<typeof samplingSchema>;

/**
 * A record of format "guidestar-model-1" as one of today's: a network had no kind, an upsampler's `lowResolution` stood beside its
 * config, and a process had other names. Values of another format stay as they are.
 */
export function upgradeRecord(value: unknown): unknown {
  if (!isObject(value) || !("format" in value) || value.format !== "guidestar-model-1") return value;
  const { sampling, denoiser, classifier, ...model } = value as Readonly<Record<string, unknown>>;
  return {
    ...model,
    format: modelFormat,
    ...(sampling !== undefined && {
      sampling: isObject(sampling) ? fromVersion1(recordedSettings, { ...sampling }) : sampling,
    }),
    ...(denoiser !== undefined && { denoiser: upgraded(denoiser, upgradeDenoiser) }),
    ...(classifier !== undefined && {
      classifier: upgraded(classifier, (record) => ({ kind: "adm-classifier", ...record })),
    }),
  };
}

interface OldNetwork {
  readonly config?: unknown;
  readonly lowResolution?: unknown;
  readonly process?: unknown;
}

/** A network, and the process that it knows. What is no object stays, for the schema to refuse. */
function upgraded(network: unknown, upgrade: (network: OldNetwork) => OldNetwork): unknown {
  if (!isObject(network)) return network;
  const { process, ...rest } = upgrade(network);
  return { ...rest, ...(process !== undefined && { process: upgradeProcess(process) }) };
}

function upgradeDenoiser({ config, lowResolution, ...rest }: OldNetwork): OldNetwork {
  const [kind, all] =
    lowResolution === undefined
      ? ["adm-unet", config]
      : ["adm-super-resolution", isObject(config) ? { ...config, lowResolution } : config];
  return { kind, config: all, ...rest } as OldNetwork;
}

/** `sigmaData` was `dataDeviation`, the schedule "edm" was "exploding", and variances were "fixedSmall" and so on. */
function upgradeProcess(process: unknown): unknown {
  if (!isObject(process)) return process;
  const { dataDeviation, schedule, variance, ...rest } = process as Readonly<Record<string, unknown>>;
  return {
    schedule: schedule === "exploding" ? "edm" : schedule,
    ...rest,
    ...(typeof variance === "string" && { variance: variance.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`) }),
    ...(dataDeviation !== undefined && { sigmaData: dataDeviation }),
  };
}
