import { createHash } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ModelError } from "../errors.ts";
import { difference } from "../models/recognise.ts";
import { type Shape, sizeOf } from "../ndarray.ts";
import { firstNotFinite, type LazyTensor } from "./lazy-tensor.ts";
import { checkRecord, networkShapes } from "./model.ts";
import { checkMerge, existingRecord, pendingSuffix } from "./model-folder.ts";
import { writeAtomically } from "./run-folder.ts";
import { elementBytes, safetensorsHeader, type WriteOptions } from "./safetensors.ts";
import { type ClassifierRecord, type DenoiserRecord, type ModelRecord, modelFormat } from "./schema.ts";

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
  /** How the folder keeps them: float32 by default. */
  readonly storage?: NonNullable<WriteOptions["dtype"]>;
}

/** Names without what wrappers of PyTorch put before all of them: `module.` (DataParallel), `_orig_mod.` (compile). */
export function withoutPrefix<T>(tensors: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  const names = Object.keys(tensors);
  const prefix = ["module.", "_orig_mod."].find(
    (prefix) => names.length > 0 && names.every((n) => n.startsWith(prefix)),
  );
  if (prefix === undefined) return tensors;
  return withoutPrefix(Object.fromEntries(names.map((name) => [name.slice(prefix.length), tensors[name]!])));
}

/**
 * Writes a network into a model folder, a few megabytes in memory at a time; a network of the other kind that is there stays.
 *
 * @throws ModelError where a tensor is missing, unknown, of another shape or not finite, or the network does not fit the folder's
 *   other one, or an element is too large for float16; the folder is as it was then
 */
export async function importNetwork(
  folder: string,
  { network, tensors, model, source, storage = "float32" }: ImportOptions,
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
    const sha256 = await writeTensors(path + pendingSuffix, tensors, expected, source, storage);
    const result = record(sha256);
    try {
      await writeAtomically(where, `${JSON.stringify(result, null, 2)}\n`);
    } catch (error) {
      await rm(path + pendingSuffix, { force: true });
      throw error;
    }
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
  dtype: NonNullable<WriteOptions["dtype"]>,
): Promise<string> {
  const temporary = `${path}.partial`;
  const hash = createHash("sha256");
  const file = await open(temporary, "w");
  try {
    const put = async (bytes: Uint8Array): Promise<void> => {
      hash.update(bytes);
      await file.writeFile(bytes);
    };
    await put(safetensorsHeader(shapes, { metadata: { format: "pt" }, dtype }));
    for (const name of Object.keys(shapes)) {
      let at = 0;
      for (const values of tensors[name]!.parts()) {
        const bad = firstNotFinite([values]);
        if (bad)
          throw new ModelError(
            `${source}: tensor "${name}": expected finite numbers but found ${bad.value} at ${at + bad.at}`,
          );
        await put(elementBytes(name, values, dtype, at));
        at += values.length;
      }
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
