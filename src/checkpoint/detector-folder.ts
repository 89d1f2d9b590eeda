import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as z from "zod";
import { background } from "../background.ts";
import { ModelError } from "../errors.ts";
import { writeFiles } from "../files/atomic.ts";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import { featuresNetwork } from "../models/features/families.ts";
import type { FeaturesNetwork } from "../models/features/family.ts";
import type { NDArray } from "../ndarray.ts";
import { countParameters, parameterShapes } from "../nn/module.ts";
import { describeProblems } from "../problems.ts";
import { show } from "../tensor/shape.ts";
import { checkWeights, type Weights } from "./model.ts";
import { bundledModelFolder } from "./model-folder.ts";

/*
 * A detector in a folder: detector.json says what it is, and three safetensors files hold its network, the statistics of what it sees in the
 * images that it was made from, and the features of some of them. The folder may be that of a model, which then carries its detector.
 */

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
const schema = z.strictObject({
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
  /** What it sees in the images that it was made from, to compare others with. */
  reference: z.strictObject({
    /** Which images they are. */
    name: z.string(),
    /** Images behind the statistics. */
    images: count,
    /** Of the features and, where it sees any, the spatial features: mu, sigma, mu_s, sigma_s. */
    statistics: file,
    /** Features of some of the images; and of some that it was not trained on, plain and spatial: features, real, real_s. */
    features: file,
  }),
  /** How it was trained: options, data, steps. For people; nothing reads it. */
  training: z.record(z.string(), z.unknown()).readonly().optional(),
});

/** What detector.json holds, apart from its version. */
export type DetectorRecord = Omit<z.infer<typeof schema>, "format">;

type Arrays = Readonly<Record<string, NDArray<"float32">>>;

/** A detector of a folder, in memory. */
export interface StoredDetector {
  readonly record: DetectorRecord;
  readonly network: FeaturesNetwork;
  /** Values of the network's parameters, by state-dict key. */
  readonly weights: Weights;
  /** mu [D], sigma [D, D], mu_s [S], sigma_s [S, S]. */
  readonly statistics: Arrays;
  /** features [N, D], real [M, D], real_s [M, S]. */
  readonly features: Arrays;
  /** Tells it from every other: its folder, and a hash of all that it is. */
  readonly name: string;
}

const recordFile = "detector.json";
const fileNames = {
  network: "detector.safetensors",
  statistics: "detector-statistics.safetensors",
  features: "detector-features.safetensors",
} as const;

/** What `saveDetector` writes. */
export interface DetectorToSave extends Pick<StoredDetector, "weights" | "statistics" | "features"> {
  readonly record: Omit<DetectorRecord, "network" | "reference"> & {
    readonly network: Pick<DetectorRecord["network"], "kind" | "config">;
    readonly reference: Pick<DetectorRecord["reference"], "name" | "images">;
  };
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Writes a detector into a folder, which is made where missing. What else is there stays. Its record comes last. */
export async function saveDetector(
  folder: string,
  { record, weights, statistics, features }: DetectorToSave,
): Promise<void> {
  const where = join(folder, recordFile);
  const { network } = featuresNetwork(record.network, `${where}: network`);
  checkWeights(weights, parameterShapes(network), where);
  const files = {
    network: writeSafetensors(weights, { dtype: "float16", metadata: { format: "pt" } }),
    statistics: writeSafetensors(statistics),
    features: writeSafetensors(features, { dtype: "float16" }),
  };
  const named = (name: keyof typeof files) => ({ file: fileNames[name], sha256: hashOf(files[name]) });
  const whole = {
    format,
    ...record,
    network: { ...record.network, ...named("network"), parameters: countParameters(network) },
    reference: { ...record.reference, statistics: named("statistics"), features: named("features") },
  };
  const { error } = schema.safeParse(whole);
  if (error) throw new ModelError(`${where}: ${describeProblems(error)}`);
  await writeFiles([
    ...(Object.keys(files) as (keyof typeof files)[]).map(
      (name) => [join(folder, fileNames[name]), files[name]] as const,
    ),
    [where, `${JSON.stringify(whole, null, 2)}\n`],
  ]);
}

/** The folder of a detector, or of a model that carries one: itself, or that of a bundled model; undefined where there is none. */
export function findDetector(nameOrFolder: string): string | undefined {
  const folder = basename(nameOrFolder) === recordFile ? dirname(nameOrFolder) : nameOrFolder;
  return [folder, bundledModelFolder(nameOrFolder)].find((each) => existsSync(join(each, recordFile)));
}

/**
 * Reads a detector from its folder, that of a model that carries one, or a bundled model by name.
 *
 * @throws ModelError where there is none, or anything in it does not fit: schema, hashes, names, shapes, numbers that are not finite
 */
export async function readDetector(nameOrFolder: string): Promise<StoredDetector> {
  const folder = findDetector(nameOrFolder);
  if (folder === undefined)
    throw new ModelError(
      `${nameOrFolder}: there is no detector here (no ${recordFile}); \`guidestar train detector --data DATA --out ${nameOrFolder}\` makes one`,
    );
  const where = join(folder, recordFile);
  const text = await readFile(where, "utf8");
  const record = parse(text, where);
  const { network, imageShape, classes } = featuresNetwork(record.network, `${where}: network`);
  if (show(imageShape) !== show(record.imageShape) || classes !== record.classes.length)
    throw new ModelError(
      `${where}: network.config is for images ${show(imageShape)} of ${classes} classes, but the detector's are ${show(record.imageShape)} of ${record.classes.length}`,
    );
  const read = async ({ file, sha256 }: { readonly file: string; readonly sha256: string }): Promise<Arrays> => {
    const path = join(folder, file);
    const bytes = await readFile(path).catch((cause: Error) => {
      throw new ModelError(`${path}: ${recordFile} names this file, but it cannot be read (${cause.message})`, {
        cause,
      });
    });
    if (hashOf(bytes) !== sha256)
      throw new ModelError(
        `${path}: is not the file that ${recordFile} names (SHA-256 ${sha256.slice(0, 12)}...); it is damaged`,
      );
    return readSafetensors(new Uint8Array(bytes), path).tensors;
  };
  const { reference } = record;
  const weights = await read(record.network);
  checkWeights(weights, parameterShapes(network), join(folder, record.network.file));
  const [statistics, features] = [await read(reference.statistics), await read(reference.features)];
  for (const [file, arrays, names] of [
    [reference.statistics.file, statistics, ["mu", "sigma"]],
    [reference.features.file, features, ["features", "real"]],
  ] as const)
    for (const name of names)
      if (!arrays[name]) throw new ModelError(`${join(folder, file)}: holds no "${name}"; it is damaged`);
  const hash = hashOf(new TextEncoder().encode(JSON.stringify([record.network, reference]))).slice(0, 12);
  return { record, network, weights, statistics, features, name: `${basename(nameOrFolder)} (${hash})` };
}

function parse(text: string, where: string): DetectorRecord {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${where}: not JSON (${(cause as Error).message}); was it cut short?`, { cause });
  }
  const { data, error } = schema.safeParse(json);
  if (error) throw new ModelError(`${where}: ${describeProblems(error)}`);
  const { format: _, ...record } = data;
  return record;
}
