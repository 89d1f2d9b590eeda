import { createHash, type Hash } from "node:crypto";
import { access, readdir, readFile, rename, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelError, UsageError } from "../errors.ts";
import { type Staged, stage } from "../files/atomic.ts";
import { hashOf, reopenedFile, withFile } from "../files/file-source.ts";
import { isFolder, makeFolder, removeEmpty } from "../files/make-folder.ts";
import { readSteadily } from "../files/steady.ts";
import { verifyOnce } from "../files/verified.ts";
import {
  inParts,
  readSafetensors,
  type SafeTensor,
  type Safetensors,
  safetensorsParts,
  type TensorInParts,
} from "../formats/safetensors.ts";
import { networkOf } from "../models/families.ts";
import { type NetworkRole, networkRoles } from "../models/family.ts";
import { type NDArray, type Place, sizeOf, storedArray } from "../ndarray.ts";
import { parameterShapes } from "../nn/module.ts";
import { checkMerge } from "./merge.ts";
import {
  checkFile,
  checkHash,
  checkRecord,
  checkWeights,
  fileOf,
  finiteWeights,
  type Model,
  type ModelToSave,
  modelOf,
  type NetworkRecord,
  parseRecord,
  parseWeights,
  type Saved,
  type Weights,
} from "./model.ts";
import { modelFromZip } from "./model-files.ts";
import { type ModelRecord, modelFormat } from "./schema.ts";

/** Folder of the models that come with the package. Asked for when it is needed: bundlers may leave `import.meta.url` empty. */
const bundledFolder = (): string => fileURLToPath(new URL("../../models/", import.meta.url));

/** The folder of a bundled model, whether there is one or not. */
export const bundledModelFolder = (name: string): string => join(bundledFolder(), basename(name));

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Weights, and metadata, of a safetensors file that comes with the package, by its path in the folder of bundled models. */
export function bundledWeights(file: string): Safetensors<NDArray<"float32">> {
  const path = join(bundledFolder(), file);
  return withFile(path, (source) => readSafetensors(source.read(0, source.size), path));
}

/** Names of the models that come with the package. */
export const bundledModels = async (): Promise<string[]> =>
  (await readdir(bundledFolder(), { withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/** A model folder as one file: see `zipModel`. */
const isZip = (path: string): boolean => path.endsWith(".zip");

/**
 * Where a model is: a folder that holds a model.json (which may be named itself), a zip of such a folder, or the folder of a bundled model,
 * by name.
 *
 * @throws ModelError where there is neither; the message lists the bundled models
 */
export async function findModel(nameOrFolder: string): Promise<string> {
  if (await exists(join(nameOrFolder, "model.json"))) return nameOrFolder;
  if (basename(nameOrFolder) === "model.json" && (await exists(nameOrFolder))) return dirname(nameOrFolder);
  if (isZip(nameOrFolder) && (await exists(nameOrFolder))) return nameOrFolder;
  const bundled = await bundledModels();
  if (bundled.includes(nameOrFolder)) return join(bundledFolder(), nameOrFolder);
  const known = bundled.length > 0 ? ` (bundled: ${bundled.join(", ")})` : "";
  throw new ModelError(
    (await exists(nameOrFolder))
      ? `${nameOrFolder}: expected a model folder, but it holds no model.json; \`guidestar train\` writes one`
      : `${nameOrFolder}: there is no such model; expected a folder with model.json, a zip of one, or the name of a bundled model${known}`,
  );
}

/** The record of a model folder, without its weights. Throws ModelError as `loadModel` does. */
async function readRecord(folder: string): Promise<ModelRecord> {
  const where = join(folder, "model.json");
  const text = await readFile(where, "utf8").catch((cause) => {
    throw new ModelError(`${where}: cannot be read (${(cause as Error).message})`, { cause });
  });
  return parseRecord(text, where);
}

/** The record of a folder that need not be a model folder yet. Throws ModelError where its model.json is damaged. */
export const existingRecord = async (folder: string): Promise<ModelRecord | undefined> =>
  (await exists(join(folder, "model.json"))) ? readRecord(folder) : undefined;

/**
 * Loads a model: a bundled one by name, a folder of `model.json` and one safetensors file per network, or a zip of such a folder. While
 * another process writes into the folder, it is the old model or the new one.
 *
 * @throws ModelError where there is none, or anything in it does not fit: schema, hash, names, shapes, numbers that are not finite
 */
export async function loadModel(nameOrFolder: string): Promise<Model> {
  const folder = await findModel(nameOrFolder);
  if (isZip(folder)) return modelFromZip(new Uint8Array(await readFile(folder)), nameOrFolder);
  return readSteadily(folder, modelFiles, async () =>
    modelOf(await readRecord(folder), nameOrFolder, (network) => readWeights(folder, network)),
  );
}

/** Weights are written beside the old ones, then named in model.json, then moved: after a crash between, they still lie there. */
const pendingSuffix = ".new";
const modelFiles = /^model\.json$|\.safetensors(\.new)?$/;

/** Was saving cut short after model.json was written, so that the weights that it names still lie beside their place? */
const isPending = async (path: string, { sha256 }: Saved): Promise<boolean> =>
  (await exists(path + pendingSuffix)) && withFile(path + pendingSuffix, hashOf) === sha256;

async function readWeights(folder: string, network: NetworkRecord): Promise<Weights> {
  const path = join(folder, network.file);
  const interrupted = await isPending(path, network);
  if (!interrupted && !(await exists(path)))
    throw new ModelError(`${path}: model.json names this file, but it cannot be read: there is none`);
  const actual = interrupted ? path + pendingSuffix : path;
  const { size } = await stat(actual);
  return size < storedFrom
    ? withFile(actual, (source) => {
        checkHash(hashOf(source), network, path);
        return finiteWeights(source, network, path);
      })
    : storedWeights(actual, network, path);
}

/** Weights from this size on (bytes) stay in their file. */
const storedFrom = 2 ** 26;

function storedWeights(path: string, network: NetworkRecord, where: string): Weights {
  const source = reopenedFile(path);
  verifyOnce(path, network.sha256, () => checkFile(source, hashOf(source), network, where));
  const file = { folder: dirname(resolve(path)), file: basename(path), state: source.state };
  // The engine can map float32 where it lies; anything else is converted each time it is asked for.
  const placeOf = ({ storage, offset }: SafeTensor): Place | undefined =>
    storage === "F32" && offset % 4 === 0 ? { ...file, offset } : undefined;
  return parseWeights(source, network, where, (tensor) =>
    storedArray(tensor.shape, () => tensor.read().data, {
      fingerprint: `${network.sha256} ${tensor.offset}`,
      place: placeOf(tensor),
    }),
  );
}

/** How `saveModel` and `importNetwork` write. */
export interface SaveOptions {
  /** How the folder keeps weights: float32 by default. */
  readonly storage?: "float32" | "float16";
  /** Ends the writing by throwing the signal's reason; the folder stays as it was. */
  readonly signal?: AbortSignal;
}

/**
 * Writes networks into a model folder, which is made where missing; a network that is there already and not given stays, so that
 * denoiser and classifier trained one after the other become one model. After a crash at any moment the folder holds the old model
 * or the new one.
 *
 * @throws ModelError where the networks don't fit each other, or the weights their network; nothing is written then
 */
export async function saveModel(folder: string, model: ModelToSave, options: SaveOptions = {}): Promise<ModelRecord> {
  const recordWith = await recordToSave(folder, model);
  const { denoiser, classifier } = model;
  const where = join(folder, "model.json");
  for (const role of networkRoles) {
    const network = model[role];
    if (network) checkWeights(network.weights, parameterShapes(networkOf(role, network.record)), where);
  }
  const networks = {
    ...(denoiser && { denoiser: inParts(denoiser.weights) }),
    ...(classifier && { classifier: inParts(classifier.weights) }),
  };
  return writeNetworks(folder, networks, recordWith, options);
}

/** The record that a folder holds after saving. Throws ModelError as `saveModel` does; the weights are not looked at. */
export async function recordToSave(
  folder: string,
  { denoiser, classifier, ...model }: ModelToSave,
): Promise<RecordWith> {
  const where = join(folder, "model.json");
  const before = await existingRecord(folder);
  if (before) checkMerge(before, model, where);
  const recordWith: RecordWith = (saved) => ({
    format: modelFormat,
    ...before,
    ...model,
    ...(denoiser && { denoiser: { ...denoiser.record, ...saved("denoiser") } }),
    ...(classifier && { classifier: { ...classifier.record, ...saved("classifier") } }),
  });
  checkUnsaved(recordWith, where);
  return recordWith;
}

/** A model's record, with what saving adds to those of its networks that are saved. */
export type RecordWith = (saved: (name: NetworkRole) => Saved) => ModelRecord;

/** Throws ModelError where a model could not be loaded again. It comes before anything is made of the sizes, which may be absurd. */
export const checkUnsaved = (recordWith: RecordWith, where: string): void => {
  checkRecord(
    recordWith((name) => ({ file: fileOf(name), sha256: "0".repeat(64), parameters: 1 })),
    where,
  );
};

/**
 * Writes networks into a model folder, a few megabytes in memory at a time: beside the old ones, then the record that names them, then
 * they take the place of the old ones. Where that fails before the record is written, or the signal is raised, the folder is as it was.
 * `checkUnsaved` comes first.
 */
export async function writeNetworks(
  folder: string,
  networks: { readonly [N in NetworkRole]?: Readonly<Record<string, TensorInParts>> },
  recordWith: RecordWith,
  { storage = "float32", signal }: SaveOptions,
): Promise<ModelRecord> {
  const where = join(folder, "model.json");
  const names = networkRoles.filter((name) => networks[name]);
  const pathOf = (name: NetworkRole): string => join(folder, fileOf(name));
  const hashes = new Map<NetworkRole, string>();
  const record = (): ModelRecord =>
    recordWith((name) => ({
      file: fileOf(name),
      sha256: hashes.get(name)!,
      parameters: Object.values(networks[name] ?? {}).reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    }));

  for (const path of names.flatMap((name) => [pathOf(name), pathOf(name) + pendingSuffix]))
    if (isFolder(path))
      throw new UsageError(`${path}: weights are to be written here, but it is a folder; move it away`);
  const made = makeFolder(folder);
  // What an earlier saving left beside its place goes there, for these weights will lie beside it.
  const before = await existingRecord(folder);
  for (const name of names)
    if (before?.[name] && (await isPending(pathOf(name), before[name])))
      await rename(pathOf(name) + pendingSuffix, pathOf(name));

  const staged: Staged[] = [];
  try {
    for (const name of names) {
      const hash = createHash("sha256");
      const parts = safetensorsParts(networks[name]!, {
        file: pathOf(name),
        dtype: storage,
        metadata: { format: "pt" },
      });
      staged.push(await stage(pathOf(name) + pendingSuffix, hashed(parts, hash), signal, pathOf(name)));
      hashes.set(name, hash.digest("hex"));
    }
    staged.push(await stage(where, `${JSON.stringify(record(), null, 2)}\n`));
    for (const each of staged) await each.commit();
  } catch (error) {
    for (const each of staged) await each.discard();
    removeEmpty(made);
    throw error;
  }
  for (const name of names) await rename(pathOf(name) + pendingSuffix, pathOf(name));
  return record();
}

/** Parts of a file, which add to its hash as they pass. */
function* hashed(parts: Iterable<Uint8Array>, hash: Hash): Generator<Uint8Array> {
  for (const part of parts) {
    hash.update(part);
    yield part;
  }
}
