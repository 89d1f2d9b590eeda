import * as z from "zod";
import { readBy } from "../checkpoint/schema.ts";
import { counted } from "../counted.ts";
import { DataError } from "../errors.ts";
import { guidanceSettings } from "../guidance/guidances.ts";
import { readGuidance } from "../guidance/settle.ts";
import { describeProblems } from "../problems.ts";
import { completed, definitionOf } from "../samplers/sampler.ts";
import { fromVersion1 } from "../setting.ts";
import type { SettledRun } from "./settings.ts";

const label = z.int().min(0).max(65535);
const seed = z.int().min(0);
const most = 1_000_000;
const sampler = readBy((json) => completed(definitionOf({ kind: String(json.kind) }), json));
const guidance = readBy(readGuidance);
const batchSize = z.int().min(1).max(most);

const file = { path: z.string(), sha256: z.string() };
const strength = z.number().gt(0).max(1);

export const runSpecFormat = "guidestar-run-2";

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
  batchSize,
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
  weakModel: z
    .strictObject({
      name: z.string(),
      /** SHA-256 of its denoiser. */
      denoiser: z.string(),
    })
    .optional(),
  /** Guidance of the caller's own, of which nothing is known here. */
  ownGuides: z
    .custom<true>(
      () => false,
      "guidance of a program's own took part, which no record holds; draw the picture again by that program",
    )
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
      batchSize,
    })
    .optional(),
});

/** A record of a run: the model by its hashes, and every choice that its pictures depend on. `sample` writes it into its PNGs. */
export type RunSpec = z.infer<typeof runSpecSchema>;

/**
 * Reads a spec from JSON text.
 *
 * @param where what holds it, for errors
 * @throws DataError where it is no spec, or its lists are of different lengths
 */
export function parseRunSpec(text: string, where: string): RunSpec {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where}: its record of the sampling run is not JSON`, { cause });
  }
  const { data, error } = runSpecSchema.safeParse(upgradeRunSpec(json));
  if (error) throw new DataError(`${where}: its record of the sampling run cannot be used: ${describeProblems(error)}`);
  const { labels, seeds } = data;
  if (labels.length !== seeds.length)
    throw new DataError(
      `${where}: its record of the sampling run contradicts itself: it has ${counted(labels.length, "label")} for ${counted(seeds.length, "seed")}`,
    );
  return data;
}

/**
 * A record of format "guidestar-run-1" as one of today's: settings of guidance have their present names, and samplers say their levels.
 * Values of another format stay as they are.
 */
function upgradeRunSpec(value: unknown): unknown {
  if (!isObject(value) || value.format !== "guidestar-run-1") return value;
  const upgradeRun = ({ batch, sampler, guidance, ...run }: Json): Json => ({
    ...run,
    ...(batch !== undefined && { batchSize: batch }),
    ...(sampler !== undefined && { sampler: isObject(sampler) ? { levels: "chain", ...sampler } : sampler }),
    ...(guidance !== undefined && {
      guidance: isObject(guidance) ? fromVersion1(guidanceSettings, guidance) : guidance,
    }),
  });
  const { weak, upsampler, ...run } = value;
  return {
    ...upgradeRun(run),
    format: runSpecFormat,
    ...(weak !== undefined && { weakModel: weak }),
    ...(upsampler !== undefined && { upsampler: isObject(upsampler) ? upgradeRun(upsampler) : upsampler }),
  };
}

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The run of a spec. */
export const runOf = ({ labels, seeds, sampler, guidance, clip, batchSize }: RunSpec): SettledRun => ({
  labels,
  seeds,
  sampler,
  guidance,
  clip,
  batchSize,
});

/** The keyword under which a PNG carries its spec. */
export const pngKeyword = "guidestar";
