import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { crc32 } from "node:zlib";
import { ModelError } from "../errors.ts";
import { writeAtomically } from "../files/atomic.ts";
import { withFile } from "../files/file-source.ts";
import { makeFolder } from "../files/make-folder.ts";
import { type ByteSource, partsOf, viewOf } from "../formats/bytes.ts";
import { inParts, openSafetensors, safetensorsParts } from "../formats/safetensors.ts";
import type { NDArray } from "../ndarray.ts";
import type { Checkpoint, CheckpointStore, JsonObject, KeptCheckpoint } from "../training/checkpoint.ts";
import type { Weights } from "../training/events.ts";

/**
 * A checkpoint as one safetensors file: tensors "params/KEY", "m/KEY", "v/KEY", "ema/KEY", where the run keeps them "short/KEY" and
 * "long/KEY" of its averages, and the rest as JSON in its metadata. There is a checksum too, of the whole file with zeros in its place.
 */
function encodeCheckpoint({
  params,
  m,
  v,
  ema,
  averages,
  step,
  task,
  watch,
  pace,
  config,
}: Checkpoint): Iterable<Uint8Array> {
  const tensors = inParts(grouped({ params, m, v, ema, ...averages }));
  const run = JSON.stringify({ step, task, watch, pace, config });
  const withChecksum = (crc32: string) =>
    safetensorsParts(tensors, { metadata: { format: "guidestar-training-1", crc32, run } });
  return withChecksum(digitsOf(checksum(withChecksum(noChecksum))));
}

const noChecksum = "00000000";
const digitsOf = (value: number): string => value.toString(16).padStart(8, "0");

function checksum(parts: Iterable<Uint8Array>): number {
  let value = 0;
  for (const part of parts) value = crc32(part, value);
  return value;
}

/** Throws ModelError where a bit of the file has changed since it was written. Those of earlier versions carry no checksum. */
function checkChecksum(source: ByteSource, stored: string | undefined, file: string): void {
  if (stored === undefined) return;
  const start = 8 + Number(viewOf(source.read(0, 8)).getBigUint64(0, true));
  const header = new TextDecoder().decode(source.read(0, start).slice(8));
  const zeroed = new TextEncoder().encode(header.replace(`"crc32":"${stored}"`, `"crc32":"${noChecksum}"`));
  function* parts() {
    yield source.read(0, 8);
    yield zeroed;
    yield* partsOf(source, start);
  }
  if (digitsOf(checksum(parts())) !== stored)
    throw new ModelError(`${file}: damaged: its bytes are not those that were written (CRC-32 ${stored})`);
}

/** Weights in groups as tensors "GROUP/KEY". */
const grouped = (groups: Readonly<Record<string, Weights>>): Weights =>
  Object.fromEntries(
    Object.entries(groups).flatMap(([group, weights]) =>
      Object.entries(weights).map(([key, value]) => [`${group}/${key}`, value] as const),
    ),
  );

/** The tensors of a checkpoint, not read yet, and the rest. Throws ModelError unless the source is a whole training checkpoint. */
function openCheckpoint(source: ByteSource, file: string) {
  const { tensors, metadata } = openSafetensors(source, file);
  if (metadata.format !== "guidestar-training-1" || metadata.run === undefined)
    throw new ModelError(
      `${file}: expected a training checkpoint, but its format is ${metadata.format ?? "not given"}`,
    );
  return { tensors, crc32: metadata.crc32, run: parseRun(metadata.run, file) };
}

function parseRun(text: string, file: string) {
  try {
    return JSON.parse(text) as Pick<Checkpoint, "step" | "task" | "watch" | "pace" | "config">;
  } catch (cause) {
    throw new ModelError(`${file}: damaged: what it says of its run is not JSON`, { cause });
  }
}

/** Throws ModelError unless the source is a whole training checkpoint. `file` is for errors. */
export function decodeCheckpoint(source: ByteSource, file: string): Checkpoint {
  const { tensors, crc32, run } = openCheckpoint(source, file);
  checkChecksum(source, crc32, file);
  const group = (name: string): Record<string, NDArray<"float32">> => {
    const prefix = `${name}/`;
    const members = Object.entries(tensors).filter(([full]) => full.startsWith(prefix));
    return Object.fromEntries(members.map(([full, tensor]) => [full.slice(prefix.length), tensor.read()]));
  };
  const averages = { short: group("short"), long: group("long") };
  return {
    ...run,
    params: group("params"),
    m: group("m"),
    v: group("v"),
    ema: group("ema"),
    ...(Object.keys(averages.short).length > 0 && { averages }),
  };
}

/** Snapshots of a run's averages lie here, beside its checkpoints: each a safetensors file of tensors "short/KEY" and "long/KEY". */
export const averagesFolder = (checkpoints: string): string => join(checkpoints, "averages");
export const averagesFormat = "guidestar-averages-1";

/** Name of the file of a step, of a checkpoint or a snapshot. */
export const fileName = (step: number): string => `step-${String(step).padStart(8, "0")}.safetensors`;
const isCheckpoint = (name: string): boolean => stepOf(name) !== undefined;

/** The step that such a name tells. */
export function stepOf(name: string): number | undefined {
  const digits = /^step-(\d{8,})\.safetensors$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Paths of a folder's checkpoints, the newest first; files that were being written when a run was killed are not among them. */
async function checkpointsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .filter(isCheckpoint)
    .sort((a, b) => stepOf(b)! - stepOf(a)!)
    .map((name) => join(folder, name));
}

/** Path of the newest checkpoint of a folder. */
export const latestCheckpoint = async (folder: string): Promise<string | undefined> => (await checkpointsIn(folder))[0];

/** Settings of `checkpointFolder`. */
export interface CheckpointFolderOptions {
  /** Checkpoints that stay, the newest; older ones are removed after a new one is safe. 3 by default. */
  keep?: number;
  /** Older ones that stay beside them, at growing distance, to go back to. 3 by default. */
  keepOlder?: number;
  /** Makes the config of a checkpoint that another version wrote one of this version. */
  upgradeConfig?: (config: JsonObject) => JsonObject;
}

/** Checkpoints as files of a folder, which is made with the first. */
export function checkpointFolder(
  folder: string,
  { keep = 3, keepOlder = 3, upgradeConfig = (config) => config }: CheckpointFolderOptions = {},
): CheckpointStore {
  const read = (path: string): Checkpoint => {
    const checkpoint = withFile(path, (source) => decodeCheckpoint(source, path));
    return { ...checkpoint, config: upgradeConfig(checkpoint.config) };
  };
  const kept = (path: string): KeptCheckpoint => ({
    path,
    step: stepOf(basename(path))!,
    read: async () => read(path),
  });
  return {
    async latest(step) {
      const paths = (await checkpointsIn(folder)).filter((path) => step === undefined || path.endsWith(fileName(step)));
      for (const path of paths)
        try {
          const { run } = withFile(path, (source) => openCheckpoint(source, path));
          return { ...kept(path), config: upgradeConfig(run.config) };
        } catch (error) {
          // Training says so, and passes it over too.
          if (!(error instanceof ModelError) || path === paths.at(-1)) throw error;
        }
      return undefined;
    },
    async all() {
      return (await checkpointsIn(folder)).map(kept);
    },
    async save(checkpoint) {
      const { step } = checkpoint;
      makeFolder(folder);
      const path = join(folder, fileName(step));
      await writeAtomically(path, encodeCheckpoint(checkpoint));
      await removeLater(averagesFolder(folder), step);
      await removeLater(folder, step);
      const paths = await checkpointsIn(folder);
      const stay = new Set(stepsToKeep(paths.map(stepIn), keep, keepOlder));
      const old = paths.filter((path) => !stay.has(stepIn(path)));
      // No other process writes here, so what is half-written was left by one that ended.
      const partial = (await readdir(folder, { withFileTypes: true }))
        .filter((entry) => entry.isFile() && entry.name.endsWith(".partial"))
        .map(({ name }) => join(folder, name));
      await Promise.all([...old, ...partial].map((name) => rm(name, { force: true })));
      return path;
    },
    async saveAverages(step, averages) {
      const snapshots = averagesFolder(folder);
      makeFolder(snapshots);
      const metadata = { format: averagesFormat, step: `${step}` };
      await writeAtomically(
        join(snapshots, fileName(step)),
        safetensorsParts(inParts(grouped(averages)), { metadata }),
      );
    },
  };
}

const stepIn = (path: string): number => stepOf(basename(path))!;

/** Removes what a run left that went back: files of later steps. */
async function removeLater(folder: string, step: number): Promise<void> {
  const later = (await checkpointsIn(folder)).filter((path) => stepIn(path) > step);
  for (const path of later) await rm(path, { force: true });
}

/**
 * Which of a run's checkpoints stay: the newest, and a few older ones whose distances grow about as powers of a number. As each new one comes,
 * that one of the older goes whose neighbours are closest to each other, seen from the newest.
 *
 * @param steps of the checkpoints, the newest first
 */
export function stepsToKeep(steps: readonly number[], keep: number, keepOlder: number): number[] {
  const newest = steps[0] ?? 0;
  const older = steps.slice(keep);
  while (older.length > keepOlder) {
    const gapWithout = older.map((_, i) => {
      const [after = steps[keep - 1] ?? newest, before = 0] = [older[i - 1], older[i + 1]];
      return (newest - before + 1) / (newest - after + 1);
    });
    older.splice(gapWithout.indexOf(Math.min(...gapWithout)), 1);
  }
  return [...steps.slice(0, keep), ...older];
}
