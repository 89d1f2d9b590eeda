import * as z from "zod";
import { background } from "../background.ts";
import { ModelError } from "../errors.ts";
import type { FeaturesNetwork } from "../models/features/family.ts";
import type { NDArray } from "../ndarray.ts";
import { describeProblems } from "../problems.ts";
import type { Weights } from "./model.ts";

const count = z
  .int()
  .min(1)
  .max(2 ** 40);
const side = z.int().min(1).max(65536);
const file = z.strictObject({
  file: z.string().regex(/^[\w-]+\.safetensors$/, "expected NAME.safetensors, a file of the same folder"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits"),
});

const format = "guidestar-detector-1";
const detectorSchema = z.strictObject({
  format: z.literal(format, `expected "${format}"; a newer version of guidestar may have written it`),
  /** Class names, in the order of the labels. */
  classes: z.array(z.string()).min(1).max(65536).readonly(),
  /** [C, H, W] of the images that it looks at. */
  imageShape: z.tuple([side, side, side]).readonly(),
  /** What becomes of pictures before it sees them, as in model.json. */
  preprocessing: z.strictObject({
    size: side.optional(),
    background: z.string().refine(background.accepts, `expected ${background.expected}`).optional(),
  }),
  network: z.strictObject({
    ...file.shape,
    /** Its family. */
    kind: z.string(),
    config: z.custom<object>((value) => typeof value === "object" && value !== null, "expected an object"),
    parameters: count,
  }),
  /** How well it reads images that it was not trained on. */
  accuracy: z.strictObject({
    /** Share of them whose class is the likeliest, and its standard error. */
    value: z.number().min(0).max(1),
    error: z.number().min(0).max(1),
    images: count,
    /** Which images they are, in words. */
    of: z.string(),
  }),
  /** What it sees in the images that it was trained on, to compare others with. */
  reference: z.strictObject({
    /** Which images they are. */
    name: z.string(),
    /** Images behind the statistics. */
    images: count,
    /** None of the images that it was not trained on is among them. Earlier versions, which don't say so, held some out and counted them all the same. */
    apart: z.literal(true).optional(),
    /** Of the features and, where it sees any, the spatial features: mu, sigma, mu_s, sigma_s. */
    statistics: file,
    /** Features of some of the images; and of some that it was not trained on, plain and spatial: features, real, real_s. */
    features: file,
  }),
  /** How it was trained: options, data, steps. For people; nothing reads it. */
  training: z.record(z.string(), z.unknown()).readonly().optional(),
});

/** What detector.json holds, apart from its version. */
export type DetectorRecord = Omit<z.infer<typeof detectorSchema>, "format">;

/** A detector of a folder, in memory. */
export interface StoredDetector {
  readonly record: DetectorRecord;
  readonly network: FeaturesNetwork;
  /** Values of the network's parameters, by state-dict key. */
  readonly weights: Weights;
  /** mu [D], sigma [D, D], mu_s [S], sigma_s [S, S]. */
  readonly statistics: Readonly<Record<string, NDArray<"float32">>>;
  /** features [N, D], real [M, D], real_s [M, S]. */
  readonly features: Readonly<Record<string, NDArray<"float32">>>;
  /** Tells it from every other: its folder, and a hash of all that it is. */
  readonly name: string;
}

/** What `saveDetector` writes. */
export interface DetectorToSave extends Pick<StoredDetector, "weights" | "statistics" | "features"> {
  readonly record: Omit<DetectorRecord, "network" | "reference"> & {
    readonly network: Pick<DetectorRecord["network"], "kind" | "config">;
    readonly reference: Pick<DetectorRecord["reference"], "name" | "images" | "apart">;
  };
}

/** The text of a detector.json. Throws ModelError where what it says does not follow the schema; `where` is its path. */
export function formatDetectorRecord(record: DetectorRecord, where: string): string {
  const whole = { format, ...record };
  const { error } = detectorSchema.safeParse(whole);
  if (error) throw new ModelError(`${where}: ${describeProblems(error)}`);
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** A detector.json as a record. Throws ModelError where it is no JSON or does not follow the schema; `where` is its path. */
export function parseDetectorRecord(text: string, where: string): DetectorRecord {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${where}: not JSON (${(cause as Error).message}); was it cut short?`, { cause });
  }
  const { data, error } = detectorSchema.safeParse(json);
  if (error) throw new ModelError(`${where}: ${describeProblems(error)}`);
  const { format: _, ...record } = data;
  return record;
}
