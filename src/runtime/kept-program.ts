import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { fileState } from "../files/file-state.ts";
import { type KeptProgram, modelFile, weightsFile } from "./backend.ts";

/** What a program's folder says of the engine's files in it, as JSON; it is written last. */
interface ProgramRecord {
  readonly inPlace: readonly string[];
  /** SHA-256 of this record's other fields, of the model and of the checksum of the weights. */
  readonly hash: string;
}

const recordFile = "program.json";

/** Makes a kept program of a folder to which the engine wrote a model. Throws where it has not. */
export async function writeRecord(folder: string, names: ReadonlySet<string>): Promise<void> {
  const bytes = await readFile(join(folder, modelFile));
  const inPlace = [...names];
  const record: ProgramRecord = { inPlace, hash: hashOf(bytes, inPlace, await weightsOf(folder)) };
  await writeFile(join(folder, recordFile), JSON.stringify(record));
}

/** Throws, or gives undefined, where the folder holds no whole program. */
export async function readProgram(folder: string): Promise<KeptProgram | undefined> {
  const { inPlace, hash }: ProgramRecord = JSON.parse(await readFile(join(folder, recordFile), "utf8"));
  const bytes = await readFile(join(folder, modelFile));
  const weights = await weightsOf(folder);
  if (hashOf(bytes, inPlace, weights) !== hash) return undefined;
  const stored = weights && { folder, files: new Map([[weightsFile, weights.state]]) };
  return { model: { bytes, externalData: [], ...(stored && { stored }) }, inPlace: new Set(inPlace) };
}

const hashOf = (model: Uint8Array, inPlace: readonly string[], weights: Weights | undefined): string =>
  createHash("sha256")
    .update(JSON.stringify([inPlace, weights?.checksum]))
    .update(model)
    .digest("hex");

interface Weights {
  /** CRC-32: they may be gigabytes, and are read at every start. */
  readonly checksum: number;
  readonly state: string;
}

/** Undefined where a program has none. */
async function weightsOf(folder: string): Promise<Weights | undefined> {
  const path = join(folder, weightsFile);
  const state = fileState(path)?.state;
  if (state === undefined) return undefined;
  let checksum = 0;
  for await (const part of createReadStream(path, { highWaterMark: 2 ** 22 })) checksum = crc32(part, checksum);
  return { checksum, state };
}
