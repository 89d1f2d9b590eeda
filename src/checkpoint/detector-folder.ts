import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ModelError } from "../errors.ts";
import { writeFiles } from "../files/atomic.ts";
import { readSafetensors, writeSafetensors } from "../formats/safetensors.ts";
import { featuresNetwork } from "../models/features/families.ts";
import { countParameters, parameterShapes } from "../nn/module.ts";
import { show } from "../tensor/shape.ts";
import { type DetectorToSave, formatDetectorRecord, parseDetectorRecord, type StoredDetector } from "./detector.ts";
import { checkWeights } from "./model.ts";
import { bundledModelFolder } from "./model-folder.ts";

/*
 * A detector in a folder: detector.json says what it is, and three safetensors files hold its network, the statistics of what it sees in the
 * images that it was made from, and the features of some of them. The folder may be that of a model, which then carries its detector.
 */

const recordFile = "detector.json";
const fileNames = {
  network: "detector.safetensors",
  statistics: "detector-statistics.safetensors",
  features: "detector-features.safetensors",
} as const;

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
    ...record,
    network: { ...record.network, ...named("network"), parameters: countParameters(network) },
    reference: { ...record.reference, statistics: named("statistics"), features: named("features") },
  };
  await writeFiles([
    ...(Object.keys(files) as (keyof typeof files)[]).map(
      (name) => [join(folder, fileNames[name]), files[name]] as const,
    ),
    [where, formatDetectorRecord(whole, where)],
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
  const record = parseDetectorRecord(text, where);
  const { network, imageShape, classes } = featuresNetwork(record.network, `${where}: network`);
  if (show(imageShape) !== show(record.imageShape) || classes !== record.classes.length)
    throw new ModelError(
      `${where}: network.config is for images ${show(imageShape)} of ${classes} classes, but the detector's are ${show(record.imageShape)} of ${record.classes.length}`,
    );
  const read = async ({
    file,
    sha256,
  }: {
    readonly file: string;
    readonly sha256: string;
  }): Promise<StoredDetector["statistics"]> => {
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
