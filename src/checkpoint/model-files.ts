import { zipSync } from "fflate";
import { ModelError } from "../errors.ts";
import { type ByteSource, bytesOf } from "../formats/bytes.ts";
import { writeSafetensors } from "../formats/safetensors.ts";
import { openZip } from "../formats/zip.ts";
import { networkOf } from "../models/families.ts";
import { networkRoles } from "../models/family.ts";
import { sizeOf } from "../ndarray.ts";
import { parameterShapes } from "../nn/module.ts";
import {
  checkHash,
  checkRecord,
  checkWeights,
  fileOf,
  finiteWeights,
  type Model,
  type ModelToSave,
  modelOf,
  parseRecord,
} from "./model.ts";
import { modelFormat } from "./schema.ts";

/** The files of a model folder, by name. */
export type ModelFiles = Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>;

/**
 * A model from the contents of its files, where there is no folder to read them from: what a browser fetched, or a database holds.
 * `loadModel` reads folders.
 *
 * @param files contents by name: `model.json`, and each safetensors file that it names
 * @param source what messages and records call the model
 * @throws ModelError where a file is missing, or anything in it does not fit: schema, hash, names, shapes, numbers that are not finite
 */
export async function modelFromFiles(files: ModelFiles, source = "model"): Promise<Model> {
  const contentsOf = (name: string): string | Uint8Array<ArrayBuffer> => {
    if (!Object.hasOwn(files, name))
      throw new ModelError(
        `${source}: expected the contents of ${name} but only these came: ${Object.keys(files).join(", ") || "none"}`,
      );
    return files[name]!;
  };
  const record = contentsOf("model.json");
  const text = typeof record === "string" ? record : new TextDecoder().decode(record);
  return modelOf(parseRecord(text, `${source}/model.json`), source, async (network) => {
    const where = `${source}/${network.file}`;
    const bytes = contentsOf(network.file);
    if (typeof bytes === "string") throw new ModelError(`${where}: expected bytes but a string came`);
    checkHash(await sha256(bytes), network, where);
    return finiteWeights(bytesOf(bytes), network, where);
  });
}

/**
 * The files of a model's folder, as `saveModel` writes them: the reverse of `modelFromFiles`.
 *
 * @param model one that was loaded, or what `saveModel` takes
 * @throws ModelError where the networks don't fit each other, or the weights their network, or a weight is too large for float16
 */
export async function filesOfModel(
  model: ModelToSave | Model,
  { storage = "float32" }: { readonly storage?: "float32" | "float16" } = {},
): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const { denoiser, classifier, ...facts } = toSave(model);
  const networks = { denoiser, classifier };
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  const records: Record<string, object> = {};
  for (const role of networkRoles) {
    const network = networks[role];
    if (!network) continue;
    checkWeights(network.weights, parameterShapes(networkOf(role, network.record)), "model");
    const file = fileOf(role);
    const bytes = writeSafetensors({ ...network.weights }, { file, dtype: storage, metadata: { format: "pt" } });
    files[file] = bytes;
    const parameters = Object.values(network.weights).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    records[role] = { ...network.record, file, sha256: await sha256(bytes), parameters };
  }
  const record = { format: modelFormat, ...facts, ...records };
  checkRecord(record, "model");
  return { "model.json": new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`), ...files };
}

/** What saving needs of a model that was loaded; it has written file, hash and count anew. */
function toSave(model: ModelToSave | Model): ModelToSave {
  if (!("weights" in model)) return model;
  const { format: _, source: __, weights, denoiser, classifier, ...facts } = model;
  return {
    ...facts,
    ...(denoiser && { denoiser: { record: denoiser, weights: weights.denoiser! } }),
    ...(classifier && { classifier: { record: classifier, weights: weights.classifier! } }),
  };
}

/**
 * A model as one zip, which holds the files of its folder: unpacked it is a model folder, and `loadModel` and the command line read it as
 * it is. Nothing in it is packed, for weights don't get smaller.
 *
 * @throws ModelError as `filesOfModel`
 */
export async function zipModel(
  model: ModelToSave | Model,
  options: { readonly storage?: "float32" | "float16" } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  // A time of its own would make other bytes of the same model.
  return zipSync(await filesOfModel(model, options), { level: 0, mtime: new Date(1980, 0, 1) });
}

/**
 * A model from a zip of its folder, by any program: its files may lie in folders of the zip, as long as there is one model.json.
 *
 * @param zip its bytes, or where they can be read from
 * @param source what messages and records call the model
 * @throws ModelError where it is no zip, holds no model.json or several, or the model cannot be used, as `modelFromFiles`
 */
export async function modelFromZip(zip: Uint8Array | ByteSource, source = "model"): Promise<Model> {
  const bytes = zip instanceof Uint8Array ? bytesOf(zip) : zip;
  const archive = openZip(bytes, source, ModelError);
  // What macOS adds to archives of its own.
  const records = archive.names.filter((name) => /(^|\/)model\.json$/.test(name) && !name.startsWith("__MACOSX/"));
  if (records.length !== 1)
    throw new ModelError(
      `${source}: expected a zip of one model folder, but ${records.length === 0 ? "no model.json is in it" : `there are ${records.length}: ${records.join(", ")}`}`,
    );
  const folder = records[0]!.slice(0, -"model.json".length);
  const files = archive.names
    .filter((name) => name.startsWith(folder) && /^[\w-]+\.(json|safetensors)$/.test(name.slice(folder.length)))
    .map((name) => [name.slice(folder.length), new Uint8Array(archive.read(name))] as const);
  return modelFromFiles(Object.fromEntries(files), source);
}

/** SHA-256 in hexadecimal digits. Browsers have it on pages that came by https or from localhost. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
