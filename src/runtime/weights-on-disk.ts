import { open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeFailure } from "../errors.ts";
import { fileState } from "../files/file-state.ts";
import { makePartialFolder } from "../files/partial.ts";
import type { OnnxModel } from "../onnx/writer.ts";
import { largeFrom } from "./fixed-values.ts";

/** The folder in which a model's files lie, and what has to be done once the engine has read them. */
export interface WeightsOnDisk {
  readonly folder: string;
  /** Throws RuntimeFailure where a file was replaced in the meantime. */
  done(): Promise<void>;
}

/**
 * Weights that the engine maps from the disk, undefined where they are few: files that are there, or else a temporary one. Between
 * threads and in the engine each copy of a large network would take as much memory again.
 *
 * @throws RuntimeFailure where the disk has no room for a temporary file
 */
export async function weightsOnDisk({ stored, externalData }: OnnxModel): Promise<WeightsOnDisk | undefined> {
  if (stored) return { folder: stored.folder, done: async () => checkUnchanged(stored) };
  if (externalData.reduce((sum, { length }) => sum + length, 0) < largeFrom) return undefined;
  const parent = join(tmpdir(), "guidestar-weights");
  const fail = (cause: Error): never => {
    throw new RuntimeFailure(
      `weights could not be written to ${parent}...: ${cause.message}; set TMPDIR to a folder with room for them`,
      { cause },
    );
  };
  const folder = await makePartialFolder(parent).catch(fail);
  // What is mapped stays readable without its name, except on Windows, which refuses to remove it.
  const done = () => rm(folder, { recursive: true, force: true }).catch(() => undefined);
  await writeParts(folder, externalData).catch((cause) => done().then(() => fail(cause)));
  return { folder, done };
}

async function writeParts(folder: string, parts: OnnxModel["externalData"]): Promise<void> {
  for (const path of new Set(parts.map((part) => part.path))) {
    const file = await open(join(folder, path), "wx", 0o600);
    try {
      for (const part of parts) if (part.path === path) await file.writeFile(part.data);
    } finally {
      await file.close();
    }
  }
}

function checkUnchanged({ folder, files }: NonNullable<OnnxModel["stored"]>): void {
  for (const [name, state] of files) {
    const path = join(folder, name);
    if (fileState(path)?.state !== state)
      throw new RuntimeFailure(`${path}: the file was replaced while the engine read it; load the model again`);
  }
}
