import { createHash } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ModelError } from "../errors.ts";
import { difference } from "../models/recognise.ts";
import { type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { checkRecord, networkShapes } from "./model.ts";
import { checkMerge, existingRecord, pendingSuffix } from "./model-folder.ts";
import { writeAtomically } from "./run-folder.ts";
import { safetensorsHeader } from "./safetensors.ts";
import { type ClassifierRecord, type DenoiserRecord, type ModelRecord, modelFormat } from "./schema.ts";

/** A tensor that is read when its turn comes. */
export interface LazyTensor {
  readonly shape: Shape;
  read(): NDArray<"float32">;
}

type Described<R> = Omit<R, "file" | "sha256" | "parameters">;
export type NetworkToImport =
  | ({ readonly name: "denoiser" } & Described<DenoiserRecord>)
  | ({ readonly name: "classifier" } & Described<ClassifierRecord>);

export interface ImportOptions {
  readonly network: NetworkToImport;
  readonly tensors: Readonly<Record<string, LazyTensor>>;
  readonly model: Pick<ModelRecord, "classes" | "imageShape" | "preprocessing">;
  /** Where the tensors come from, for errors. */
  readonly source: string;
}

/**
 * Writes a network into a model folder, one tensor in memory at a time; a network of the other kind that is there stays.
 *
 * @throws ModelError where a tensor is missing, unknown, of another shape or not finite, or the network does not fit the folder's
 *   other one; the folder is as it was then
 */
export async function importNetwork(
  folder: string,
  { network, tensors, model, source }: ImportOptions,
): Promise<ModelRecord> {
  const where = join(folder, "model.json");
  const before = await existingRecord(folder);
  const joined = { ...model, classes: joinedClasses(before, model.classes) };
  // A network that is told no class has no names of its own to disagree about.
  if (before) checkMerge(before.classes.length > 0 ? before : { ...before, classes: joined.classes }, joined, where);
  const expected = networkShapes(network);
  const shapes = Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));
  const wrong = difference(shapes, expected);
  if (wrong) throw new ModelError(`${source}: ${wrong}`);

  const { name, ...described } = network;
  const file = `${name}.safetensors`;
  const record = (sha256: string): ModelRecord => ({
    format: modelFormat,
    ...before,
    ...joined,
    [name]: {
      ...described,
      file,
      sha256,
      parameters: Object.values(expected).reduce((sum, shape) => sum + sizeOf(shape), 0),
    },
  });
  checkRecord(record("0".repeat(64)), where);

  const made = await mkdir(folder, { recursive: true });
  const path = join(folder, file);
  try {
    const sha256 = await writeTensors(path + pendingSuffix, tensors, expected, source);
    const result = record(sha256);
    await writeAtomically(where, `${JSON.stringify(result, null, 2)}\n`);
    await rename(path + pendingSuffix, path);
    return result;
  } catch (error) {
    if (made !== undefined) await rm(made, { recursive: true, force: true });
    throw error;
  }
}

/** Names of the classes: those given, else the numbers from 0, except where the folder has as many names already. */
function joinedClasses(before: ModelRecord | undefined, given: ImportOptions["model"]["classes"]): readonly string[] {
  const there = before?.classes ?? [];
  if (given.length === 0) return there;
  const areNumbers = given.every((name, label) => name === String(label));
  return areNumbers && there.length === given.length ? there : given;
}

/** Writes a safetensors file tensor by tensor; returns its SHA-256. Where that fails, nothing stays. */
async function writeTensors(
  path: string,
  tensors: ImportOptions["tensors"],
  shapes: Readonly<Record<string, Shape>>,
  source: string,
): Promise<string> {
  const temporary = `${path}.partial`;
  const hash = createHash("sha256");
  const file = await open(temporary, "w");
  try {
    const put = async (bytes: Uint8Array): Promise<void> => {
      hash.update(bytes);
      await file.writeFile(bytes);
    };
    await put(safetensorsHeader(shapes, { metadata: { format: "pt" } }));
    for (const name of Object.keys(shapes)) {
      const { data } = tensors[name]!.read();
      const bad = data.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0)
        throw new ModelError(`${source}: tensor "${name}": expected finite numbers but found ${data[bad]} at ${bad}`);
      await put(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  return hash.digest("hex");
}
