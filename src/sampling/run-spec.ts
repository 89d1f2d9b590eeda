import * as z from "zod";
import { readBy } from "../checkpoint/schema.ts";
import { DataError } from "../errors.ts";
import { scheduleNames } from "../guidance/schedule.ts";
import { describeProblems } from "../problems.ts";
import { completed, definitionOf } from "../samplers/sampler.ts";
import type { SettledGuidance } from "./guidance.ts";

const label = z.int().min(0).max(65535);
const seed = z.int().min(0);
const most = 1_000_000;
const sampler = readBy((json) => completed(definitionOf({ kind: String(json.kind) }), { levels: "chain", ...json }));
const guidance = z.strictObject({
  classifier: z.number(),
  classifierFree: z.number(),
  gradientAt: z.enum(["x_t", "mean"]),
  unconditional: z.boolean(),
  autoguidance: z.number().optional(),
  cfgPlusPlus: z.boolean().optional(),
  apg: z.strictObject({ eta: z.number(), threshold: z.number().min(0), momentum: z.number() }).optional(),
  rescale: z.number().min(0).max(1).optional(),
  threshold: z.number().gt(0).max(100).optional(),
  interval: z
    .tuple([z.number().min(0), z.number()])
    .readonly()
    .optional(),
  schedule: z.union([z.enum(scheduleNames), z.array(z.number()).min(1).readonly()]).optional(),
}) satisfies z.ZodType<SettledGuidance>;
const batch = z.int().min(1).max(most);

const file = { path: z.string(), sha256: z.string() };
const strength = z.number().gt(0).max(1);

export const runSpecFormat = "guidestar-run-1";

/** A sampling run whole: from it, the model and the files of `input`, the same pictures can be drawn again. Plain JSON. */
const runSpecSchema = z.strictObject({
  format: z.literal(runSpecFormat, `expected "${runSpecFormat}"; a newer version of guidestar may have written it`),
  model: z.strictObject({
    /** As it was given: a bundled name, or a folder. */
    name: z.string(),
    /** SHA-256 of the networks that took part. */
    denoiser: z.string(),
    classifier: z.string().optional(),
  }),
  device: z.enum(["cpu", "webgpu"]),
  labels: z.array(label).min(1).max(most).readonly(),
  seeds: z.array(seed).min(1).max(most).readonly(),
  sampler,
  guidance,
  clip: z.boolean(),
  batch,
  /** Files that the pictures were made from, as they were given, with their SHA-256; drawing again needs them. */
  input: z
    .discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("latents"), ...file }),
      z.strictObject({ kind: z.literal("picture"), ...file, strength }),
      z.strictObject({
        kind: z.literal("inpaint"),
        ...file,
        mask: z.strictObject(file),
        strength,
        resample: z.int().min(1),
      }),
    ])
    .optional(),
  /** The weak model of autoguidance. */
  weak: z
    .strictObject({
      name: z.string(),
      /** SHA-256 of its denoiser. */
      denoiser: z.string(),
    })
    .optional(),
  /** The second model of a cascade, which enlarged the pictures. */
  upsampler: z
    .strictObject({
      name: z.string(),
      /** SHA-256 of its denoiser. */
      denoiser: z.string(),
      sampler,
      guidance,
      clip: z.boolean(),
      batch,
    })
    .optional(),
});

export type RunSpec = z.infer<typeof runSpecSchema>;

/**
 * Reads a spec from JSON text.
 *
 * @param where what holds it, for errors
 * @throws DataError where it is no spec
 */
export function parseRunSpec(text: string, where: string): RunSpec {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where}: its record of the sampling run is not JSON`, { cause });
  }
  const { data, error } = runSpecSchema.safeParse(json);
  if (error) throw new DataError(`${where}: its record of the sampling run is damaged: ${describeProblems(error)}`);
  return data;
}

/** The keyword under which a PNG carries its spec. */
export const pngKeyword = "guidestar";
