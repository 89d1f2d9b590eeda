import { access, mkdir, readdir, readFile, rename, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ModelError } from "../errors.ts";
import { type NDArray, type Place, storedArray } from "../ndarray.ts";
import { hashOf, reopenedFile, withFile } from "./file-source.ts";
import {
  checkFile,
  checkRecord,
  checkWeights,
  type Model,
  networkNames,
  networkShapes,
  parseRecord,
  parseWeights,
  sha256,
  type Weights,
} from "./model.ts";
import { writeAtomically } from "./run-folder.ts";
import { readSafetensors, type SafeTensor, type Safetensors, writeSafetensors } from "./safetensors.ts";
import { type ClassifierRecord, type DenoiserRecord, type ModelRecord, modelFormat } from "./schema.ts";
import { verifyOnce } from "./verified.ts";

/** Folder of the models that come with the package. */
const bundledFolder = fileURLToPath(new URL("../../models/", import.meta.url));

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Weights, and metadata, of a safetensors file that comes with the package, by its path in the folder of bundled models. */
export function bundledWeights(file: string): Safetensors<NDArray<"float32">> {
  const path = join(bundledFolder, file);
  return withFile(path, (source) => readSafetensors(source.read(0, source.size), path));
}

/** Names of the models that come with the package. */
export const bundledModels = async (): Promise<string[]> =>
  (await readdir(bundledFolder, { withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/**
 * The folder of a model: one that holds a model.json, or a bundled model by name.
 *
 * @throws ModelError where there is neither; the message lists the bundled models
 */
export async function findModel(nameOrFolder: string): Promise<string> {
  if (await exists(join(nameOrFolder, "model.json"))) return nameOrFolder;
  const bundled = await bundledModels();
  if (bundled.includes(nameOrFolder)) return join(bundledFolder, nameOrFolder);
  const known = bundled.length > 0 ? ` (bundled: ${bundled.join(", ")})` : "";
  throw new ModelError(
    (await exists(nameOrFolder))
      ? `${nameOrFolder}: expected a model folder, but it holds no model.json; \`guidestar train\` writes one`
      : `${nameOrFolder}: there is no such model; expected a folder with model.json, or the name of a bundled model${known}`,
  );
}

/** The record of a model folder, without its weights. Throws ModelError as `loadModel` does. */
export async function readRecord(folder: string): Promise<ModelRecord> {
  const where = join(folder, "model.json");
  return parseRecord(await readFile(where, "utf8"), where);
}

/** The record of a folder that need not be a model folder yet. Throws ModelError where its model.json is damaged. */
export const existingRecord = async (folder: string): Promise<ModelRecord | undefined> =>
  (await exists(join(folder, "model.json"))) ? readRecord(folder) : undefined;

/**
 * Loads a model: a bundled one by name, or a folder of `model.json` and one safetensors file per network.
 *
 * @throws ModelError where there is none, or anything in it does not fit: schema, hash, names, shapes, numbers that are not finite
 */
export async function loadModel(nameOrFolder: string): Promise<Model> {
  const folder = await findModel(nameOrFolder);
  const record = await readRecord(folder);
  const { denoiser, classifier } = record;
  return {
    ...record,
    source: nameOrFolder,
    weights: {
      ...(denoiser && { denoiser: await readWeights(folder, { name: "denoiser", ...denoiser }) }),
      ...(classifier && { classifier: await readWeights(folder, { name: "classifier", ...classifier }) }),
    },
  };
}

type NamedNetwork =
  | ({ readonly name: "denoiser" } & DenoiserRecord)
  | ({ readonly name: "classifier" } & ClassifierRecord);

/** Weights are written beside the old ones, then named in model.json, then moved: after a crash between, they still lie there. */
export const pendingSuffix = ".new";

async function readWeights(folder: string, network: NamedNetwork): Promise<Weights> {
  const path = join(folder, network.file);
  const pending = path + pendingSuffix;
  const interrupted = (await exists(pending)) && withFile(pending, hashOf) === network.sha256;
  if (!interrupted && !(await exists(path)))
    throw new ModelError(`${path}: model.json names this file, but it cannot be read: there is none`);
  const actual = interrupted ? pending : path;
  const { size } = await stat(actual);
  return size < storedFrom
    ? withFile(actual, (source) => {
        checkFile(source, hashOf(source), network, path);
        return parseWeights(source, network, path, (tensor) => tensor.read());
      })
    : storedWeights(actual, network, path);
}

/** Weights from this size on (bytes) stay in their file. */
const storedFrom = 2 ** 26;

function storedWeights(path: string, network: NamedNetwork, where: string): Weights {
  const source = reopenedFile(path);
  verifyOnce(path, network.sha256, () => checkFile(source, hashOf(source), network, where));
  const file = { folder: dirname(resolve(path)), file: basename(path), modified: source.modified };
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

/** What saving a network adds to its record. */
type Saved = "file" | "sha256" | "parameters";

export interface NetworkToSave<R> {
  readonly record: Omit<R, Saved>;
  readonly weights: Weights;
}

export interface ModelToSave extends Pick<ModelRecord, "classes" | "imageShape" | "preprocessing" | "sampling"> {
  readonly denoiser?: NetworkToSave<DenoiserRecord>;
  readonly classifier?: NetworkToSave<ClassifierRecord>;
}

/**
 * Writes networks into a model folder, which is made where missing; a network that is there already and not given stays, so that
 * denoiser and classifier trained one after the other become one model. After a crash at any moment the folder holds the old model
 * or the new one.
 *
 * @throws ModelError where the networks don't fit each other, or the weights their network; nothing is written then
 */
export async function saveModel(
  folder: string,
  { denoiser, classifier, ...model }: ModelToSave,
  { storage = "float32" }: { readonly storage?: "float32" | "float16" } = {},
): Promise<ModelRecord> {
  const where = join(folder, "model.json");
  const before = await existingRecord(folder);
  if (before) checkMerge(before, model, where);

  const files: { path: string; bytes: Uint8Array }[] = [];
  const prepare = async (name: NamedNetwork["name"], weights: Weights) => {
    const bytes = writeSafetensors(weights, { dtype: storage, metadata: { format: "pt" } });
    const file = `${name}.safetensors`;
    files.push({ path: join(folder, file), bytes });
    const parameters = Object.values(weights).reduce((sum, { data }) => sum + data.length, 0);
    return { file, sha256: await sha256(bytes), parameters };
  };
  const record: ModelRecord = {
    format: modelFormat,
    ...before,
    ...model,
    ...(denoiser && { denoiser: { ...denoiser.record, ...(await prepare("denoiser", denoiser.weights)) } }),
    ...(classifier && { classifier: { ...classifier.record, ...(await prepare("classifier", classifier.weights)) } }),
  };
  checkRecord(record, where);
  if (denoiser) checkWeights(denoiser.weights, networkShapes({ name: "denoiser", ...denoiser.record }), where);
  if (classifier) checkWeights(classifier.weights, networkShapes({ name: "classifier", ...classifier.record }), where);

  await mkdir(folder, { recursive: true });
  for (const { path, bytes } of files) await writeAtomically(path + pendingSuffix, bytes);
  await writeAtomically(where, `${JSON.stringify(record, null, 2)}\n`);
  for (const { path } of files) await rename(path + pendingSuffix, path);
  return record;
}

/** Throws ModelError where a folder's model is of other images or classes than what is to join it. */
export function checkMerge(before: ModelRecord, now: Pick<ModelRecord, "classes" | "imageShape">, where: string): void {
  const others = networkNames.filter((name) => before[name]).join(" and ");
  for (const key of ["imageShape", "classes"] as const) {
    const [old, wanted] = [JSON.stringify(before[key]), JSON.stringify(now[key])];
    if (old !== wanted)
      throw new ModelError(
        `${where}: the ${others} there has ${key} ${old}, but ${wanted} should join it; choose another folder`,
      );
  }
}
