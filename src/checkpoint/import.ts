import { join } from "node:path";
import { counted } from "../counted.ts";
import { ModelError, ShapeError } from "../errors.ts";
import { firstNotFinite, type LazyTensor } from "../formats/lazy-tensor.ts";
import type { TensorInParts } from "../formats/safetensors.ts";
import { asExpected, difference } from "../models/difference.ts";
import { classifierNetwork, denoiserNetwork, denoiserSignature, networkOf } from "../models/families.ts";
import type { Shapes } from "../models/family.ts";
import type { Shape } from "../ndarray.ts";
import { parameterShapes } from "../nn/module.ts";
import { show } from "../tensor/shape.ts";
import { f32, i32, input } from "../tensor/trace.ts";
import { shapesOf } from "./find-network.ts";
import { checkMerge } from "./merge.ts";
import type { Described } from "./model.ts";
import { checkUnsaved, existingRecord, type RecordWith, type SaveOptions, writeNetworks } from "./model-folder.ts";
import { type ClassifierRecord, type DenoiserRecord, type ModelRecord, modelFormat } from "./schema.ts";

/** What model.json is to say of the network, apart from what its weights tell. */
export type NetworkToImport =
  | ({ readonly role: "denoiser" } & Described<DenoiserRecord>)
  | ({ readonly role: "classifier" } & Described<ClassifierRecord>);

/** What `importNetwork` writes. */
export interface ImportOptions extends SaveOptions {
  /** The network, which its tensors must fit. */
  readonly network: NetworkToImport;
  /** Its weights by state-dict key, which are read as they are written. */
  readonly tensors: Readonly<Record<string, LazyTensor>>;
  /** Images and classes of the model. */
  readonly model: Pick<ModelRecord, "classes" | "imageShape" | "preprocessing">;
  /** Where the tensors come from, for errors. */
  readonly source: string;
  /** Told what was done to the tensors. */
  readonly note?: (text: string) => void;
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
 *   other one, or an element is too large for float16; the folder is as it was then, and where the signal is raised
 */
export async function importNetwork(
  folder: string,
  { network, tensors, model, source, note, ...options }: ImportOptions,
): Promise<ModelRecord> {
  const where = join(folder, "model.json");
  const before = await existingRecord(folder);
  // A file says nothing of what stood behind transparent pixels, so what is known stays.
  const { background } = before?.preprocessing ?? {};
  const preprocessing = { ...(background !== undefined && { background }), ...model.preprocessing };
  const joined = { ...model, preprocessing, classes: joinedClasses(before, model.classes) };
  // A network that is told no class has no names of its own to disagree about.
  if (before) checkMerge(before.classes.length > 0 ? before : { ...before, classes: joined.classes }, joined, where);
  const { role, ...described } = network;
  const recordWith: RecordWith = (saved) => ({
    format: modelFormat,
    ...before,
    ...joined,
    [role]: { ...described, ...saved(role) },
  });
  checkUnsaved(recordWith, where);
  const found = shapesOf(tensors);
  const expected = checkedShapes(network, { found, imageShape: model.imageShape, source });

  const reshaped = Object.keys(expected).filter((key) => found[key]!.length !== expected[key]!.length);
  if (reshaped[0] !== undefined)
    note?.(
      `${counted(reshaped.length, "kernel")} of 1x1 with other axes, such as "${reshaped[0]}": ${show(found[reshaped[0]]!)} for ` +
        `${show(expected[reshaped[0]]!)}; they are the same numbers`,
    );
  const checked = Object.entries(expected).map(
    ([key, shape]) => [key, finite(`${source}: tensor "${key}"`, tensors[key]!, shape)] as const,
  );
  return writeNetworks(folder, { [role]: Object.fromEntries(checked) }, recordWith, options);
}

/**
 * Shapes of a network's parameters. Throws ModelError unless those found are the same, and the network can be applied to images of its
 * size: how often they must be even depends on its kind.
 */
function checkedShapes(
  network: NetworkToImport,
  {
    found,
    imageShape,
    source,
  }: { readonly found: Shapes; readonly imageShape: readonly number[]; readonly source: string },
): Shapes {
  try {
    const shapes = parameterShapes(networkOf(network.role, network));
    const wrong = difference(asExpected(found, shapes), shapes);
    if (wrong) throw new ModelError(wrong);
    applyOnce(network, shapes, imageShape);
    return shapes;
  } catch (error) {
    if (!(error instanceof ModelError || error instanceof ShapeError)) throw error;
    throw new ModelError(`${source}: ${error.message}`, { cause: error });
  }
}

/** Applies a network to symbols of what it takes, which throws where their shapes don't fit. */
function applyOnce(network: NetworkToImport, shapes: Shapes, imageShape: readonly number[]): void {
  const parameters = Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, input(key, f32(...shape))]));
  const x = input("x", f32(1, ...imageShape));
  const t = input("t", f32(1));
  if (network.role === "classifier") return void classifierNetwork(network)(parameters, x, t);
  const { lowRes } = denoiserSignature(network);
  denoiserNetwork(network)(parameters, x, t, {
    label: input("y", i32(1)),
    lowRes: lowRes && input("lowRes", f32(1, ...lowRes)),
  });
}

/** Names of the classes: those given, else the numbers from 0, except where the folder has as many names already. */
function joinedClasses(before: ModelRecord | undefined, given: ImportOptions["model"]["classes"]): readonly string[] {
  const there = before?.classes ?? [];
  if (given.length === 0) return there;
  const areNumbers = given.every((name, label) => name === String(label));
  return areNumbers && there.length === given.length ? there : given;
}

/** A tensor of this shape that throws ModelError at a number that is not finite. */
const finite = (where: string, tensor: LazyTensor, shape: Shape): TensorInParts => ({
  shape,
  *parts() {
    let at = 0;
    for (const values of tensor.parts()) {
      const bad = firstNotFinite([values]);
      if (bad) throw new ModelError(`${where}: expected finite numbers but found ${bad.value} at ${at + bad.at}`);
      yield values;
      at += values.length;
    }
  },
});
