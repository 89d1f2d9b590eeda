import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { ModelError } from "../errors.ts";
import { writeAtomically } from "../files/atomic.ts";
import { withFile } from "../files/file-source.ts";
import { makeFolder } from "../files/make-folder.ts";
import { inParts, safetensorsParts } from "../formats/safetensors.ts";
import type { Checkpoint, CheckpointStore, JsonObject, KeptCheckpoint } from "../training/checkpoint.ts";
import { decodeCheckpoint, encodeCheckpoint, grouped, openCheckpoint, stepsToKeep } from "./training-file.ts";

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
