import * as z from "zod";
import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import type { ClassifierConfig, UNetConfig } from "../models/config.ts";

/*
 * model.json: everything about a model but its weights. Bounds keep a damaged or hostile file from asking for absurd networks.
 */

const count = z.int().min(1).max(65536);
const fraction = z.number().positive().max(64);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
/** A file of the same folder. */
const fileName = z.string().regex(/^[\w-]+\.safetensors$/, "expected NAME.safetensors, a file of the same folder");

const processSchema = z.strictObject({
  schedule: z.enum(["linear", "cosine", "flow", "exploding"]),
  steps: z.int().min(1).max(1_000_000),
  zeroTerminalSnr: z.boolean().optional(),
  sigmaRange: z.tuple([z.number().positive(), z.number().positive()]).readonly().optional(),
  dataDeviation: z.number().positive().optional(),
  prediction: z.enum(["eps", "x0", "previous", "v", "velocity", "edm"]),
  variance: z.enum(["fixedSmall", "fixedLarge", "learned", "learnedRange"]),
  rescaleTimesteps: z.boolean(),
}) satisfies z.ZodType<ProcessConfig>;

const backbone = {
  imageSize: count,
  inChannels: count,
  outChannels: count,
  modelChannels: count,
  numResBlocks: z.int().min(1).max(64),
  attentionResolutions: z.array(count).max(16).readonly(),
  channelMult: z.array(fraction).min(1).max(16).readonly(),
  numHeads: count.optional(),
  numHeadChannels: count.optional(),
  useScaleShiftNorm: z.boolean().optional(),
  resblockUpdown: z.boolean().optional(),
  convResample: z.boolean().optional(),
  useNewAttentionOrder: z.boolean().optional(),
  normGroups: count.optional(),
};

const unetSchema = z.strictObject({
  ...backbone,
  numClasses: count.optional(),
  nullLabel: z.boolean().optional(),
  numHeadsUpsample: count.optional(),
}) satisfies z.ZodType<UNetConfig>;

const classifierSchema = z.strictObject({
  ...backbone,
  pool: z.enum(["adaptive", "attention", "spatial", "spatial_v2"]).optional(),
}) satisfies z.ZodType<ClassifierConfig>;

const network = {
  /** Weights: a safetensors file of the same folder. */
  file: fileName,
  sha256,
  /** How many learned numbers it holds. */
  parameters: z.int().min(1),
  /** How it was trained: options, data, steps, losses. For people; nothing reads it. */
  training: z.record(z.string(), z.unknown()).readonly().optional(),
};

const denoiserSchema = z.strictObject({
  config: unetSchema,
  /** Side in pixels of the small images that an upsampler enlarges. It makes the network `superResUnet(config)`; without it, `unet(config)`. */
  lowResolution: count.optional(),
  process: processSchema,
  ...network,
});

const noisySchema = z.strictObject({
  config: classifierSchema,
  /** The noise that it knows; classifier guidance needs the denoiser's. */
  process: processSchema.omit({ prediction: true, variance: true }),
  ...network,
});

/** The samplers that there are; `sampling/sampler.ts` makes them. */
export const samplerKinds = [
  "ddim",
  "ddpm",
  "euler",
  "heun",
  "dpm++2m",
  "dpm++2m-sde",
  "sa-solver",
  "langevin",
  "pc",
] as const;

/** Which noise levels a sampler visits; `sampling/levels.ts` says what they are. */
export const levelSpacings = ["chain", "karras", "geometric"] as const;

/** Settings of `sample` where the caller gives none. */
const samplingSchema = z.strictObject({
  sampler: z.enum(samplerKinds).optional(),
  steps: z.union([count, z.string()]).optional(),
  levels: z.enum(levelSpacings).optional(),
  eta: z.number().min(0).max(1).optional(),
  churn: z.number().min(0).optional(),
  order: z.int().min(1).max(4).optional(),
  /** Scale of classifier-free guidance; 1 is off. */
  classifierFree: z.number().optional(),
  /** Scale of classifier guidance; 0 is off. */
  classifier: z.number().optional(),
  /** Scale of classifier guidance where the denoiser is told no class. */
  unconditionalClassifier: z.number().optional(),
});

export const modelFormat = "guidestar-model-1";

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
  }),
  sampling: samplingSchema.optional(),
  denoiser: denoiserSchema.optional(),
  classifier: noisySchema.optional(),
});

export type ModelRecord = z.infer<typeof modelSchema>;
export type DenoiserRecord = z.infer<typeof denoiserSchema>;
export type ClassifierRecord = z.infer<typeof noisySchema>;
export type SamplingDefaults = z.infer<typeof samplingSchema>;

/** Problems that zod found, as one line: where each is, and what was expected. */
export const describeProblems = (error: z.ZodError): string =>
  error.issues
    .slice(0, 4)
    .map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message))
    .join("; ");
