import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ModelError } from "../errors.ts";
import { writeAtomically } from "../files/atomic.ts";
import { withFile } from "../files/file-source.ts";
import { makeFolder } from "../files/make-folder.ts";
import type { ByteSource } from "../formats/bytes.ts";
import { inParts, openSafetensors, safetensorsParts } from "../formats/safetensors.ts";
import type { NDArray } from "../ndarray.ts";
import type { Checkpoint, CheckpointStore, JsonObject } from "../training/checkpoint.ts";
import type { Weights } from "../training/events.ts";

/**
 * A checkpoint as one safetensors file: tensors "params/KEY", "m/KEY", "v/KEY", "ema/KEY", where the run keeps them "short/KEY" and
 * "long/KEY" of its averages, and the rest as JSON in its metadata.
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
  config,
}: Checkpoint): Iterable<Uint8Array> {
  return safetensorsParts(inParts(grouped({ params, m, v, ema, ...averages })), {
    metadata: { format: "guidestar-training-1", run: JSON.stringify({ step, task, watch, config }) },
  });
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
  return { tensors, run: JSON.parse(metadata.run) as Pick<Checkpoint, "step" | "task" | "watch" | "config"> };
}

/** Throws ModelError unless the source is a whole training checkpoint. `file` is for errors. */
export function decodeCheckpoint(source: ByteSource, file: string): Checkpoint {
  const { tensors, run } = openCheckpoint(source, file);
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
  /** Checkpoints that stay; older ones are removed after a new one is safe. */
  keep?: number;
  /** Makes the config of a checkpoint that another version wrote one of this version. */
  upgradeConfig?: (config: JsonObject) => JsonObject;
}

/** Checkpoints as files of a folder, which is made with the first. */
export function checkpointFolder(
  folder: string,
  { keep = 3, upgradeConfig = (config) => config }: CheckpointFolderOptions = {},
): CheckpointStore {
  return {
    async latest() {
      const path = await latestCheckpoint(folder);
      if (path === undefined) return undefined;
      const { run } = withFile(path, (source) => openCheckpoint(source, path));
      const config = upgradeConfig(run.config);
      return {
        path,
        step: run.step,
        config,
        read: async () => ({ ...withFile(path, (source) => decodeCheckpoint(source, path)), config }),
      };
    },
    async save(checkpoint) {
      makeFolder(folder);
      const path = join(folder, fileName(checkpoint.step));
      await writeAtomically(path, encodeCheckpoint(checkpoint));
      const old = (await checkpointsIn(folder)).slice(keep);
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
