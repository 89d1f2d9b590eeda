import { createHash } from "node:crypto";
import { access, open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type KeptProgram, modelFile, weightsFile } from "./backend.ts";

/** What a program's folder says of the engine's files in it, as JSON; it is written last. */
interface ProgramRecord {
  readonly inPlace: readonly string[];
  /** SHA-256 of the model. */
  readonly model: string;
  /** CRC-32 of the weights, which may be gigabytes and are read at every start. */
  readonly weights?: number | undefined;
}

const recordFile = "program.json";

/** Is this folder a program, or one that is still being written? */
export const isProgram = (folder: string): Promise<boolean> =>
  access(join(folder, recordFile)).then(
    () => true,
    () => false,
  );

/** Makes a kept program of a folder to which the engine wrote a model. Throws where it has not. */
export async function writeRecord(folder: string, inPlace: ReadonlySet<string>): Promise<void> {
  const model = sha256(await readFile(join(folder, modelFile)));
  const weights = (await weightsOf(folder))?.checksum;
  const record: ProgramRecord = { inPlace: [...inPlace], model, weights };
  await writeFile(join(folder, recordFile), JSON.stringify(record));
}

/** Throws, or gives undefined, where the folder holds no whole program. */
export async function readProgram(folder: string): Promise<KeptProgram | undefined> {
  const record: ProgramRecord = JSON.parse(await readFile(join(folder, recordFile), "utf8"));
  const bytes = await readFile(join(folder, modelFile));
  const weights = await weightsOf(folder);
  if (sha256(bytes) !== record.model || weights?.checksum !== record.weights) return undefined;
  const stored = weights && { folder, files: new Map([[weightsFile, weights.modified]]) };
  return { model: { bytes, externalData: [], ...(stored && { stored }) }, inPlace: new Set(record.inPlace) };
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Undefined where a program has none. */
async function weightsOf(folder: string): Promise<{ checksum: number; modified: number } | undefined> {
  const path = join(folder, weightsFile);
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  const { mtimeMs: modified } = await stat(path);
  let checksum = 0;
  for await (const part of file.createReadStream({ highWaterMark: 2 ** 22 })) checksum = crc32(part, checksum);
  return { checksum, modified };
}
