import { counted } from "../counted.ts";
import { describeNoise, learnsVariance, processKind, processProblem } from "../diffusion/process-config.ts";
import { ModelError } from "../errors.ts";
import type { ByteSource } from "../formats/bytes.ts";
import { firstNotFinite } from "../formats/lazy-tensor.ts";
import { openSafetensors, type SafeTensor } from "../formats/safetensors.ts";
import { checkedConfig, classifierSignature, denoiserSignature, networkOf } from "../models/families.ts";
import type { NetworkRole } from "../models/family.ts";
import type { NDArray, Shape } from "../ndarray.ts";
import { parameterShapes } from "../nn/module.ts";
import { describeProblems } from "../problems.ts";
import { show } from "../tensor/shape.ts";
import { type ClassifierRecord, type DenoiserRecord, type ModelRecord, modelSchema, upgradeRecord } from "./schema.ts";

/** Learned numbers of a network by state-dict key. */
export type Weights = Readonly<Record<string, NDArray<"float32">>>;

/** A model in memory: its record, and the weights of the networks that the record has. */
export interface Model extends ModelRecord {
  /** Where it came from, for messages and records. */
  readonly source: string;
  /** Weights of each network that the record has, by state-dict key. */
  readonly weights: { readonly [R in NetworkRole]?: Weights };
}

/** A network of a model by its role and its record. */
export type NetworkRecord =
  | ({ readonly role: "denoiser" } & DenoiserRecord)
  | ({ readonly role: "classifier" } & ClassifierRecord);

/** What saving a network adds to its record. */
export type Saved = Pick<DenoiserRecord, "file" | "sha256" | "parameters">;

/** A network's record before it is saved. */
export type Described<R> = Omit<R, keyof Saved>;

/** A network as `saveModel` takes it. */
export interface NetworkToSave<R> {
  /** What model.json is to say of it. */
  readonly record: Described<R>;
  /** Its weights by state-dict key. */
  readonly weights: Weights;
}

/** What `saveModel` writes: images, classes, and one network or both. */
export interface ModelToSave extends Pick<ModelRecord, "classes" | "imageShape" | "preprocessing" | "sampling"> {
  /** Takes the place of the folder's denoiser. */
  readonly denoiser?: NetworkToSave<DenoiserRecord>;
  /** Takes the place of the folder's classifier. */
  readonly classifier?: NetworkToSave<ClassifierRecord>;
}

/** Name of a network's file in a model folder. */
export const fileOf = (role: NetworkRole): string => `${role}.safetensors`;

/** The model of a record, whose weights `read` gets for each network that the record has. */
export async function modelOf(
  record: ModelRecord,
  source: string,
  read: (network: NetworkRecord) => Promise<Weights>,
): Promise<Model> {
  const { denoiser, classifier } = record;
  return {
    ...record,
    source,
    weights: {
      ...(denoiser && { denoiser: await read({ role: "denoiser", ...denoiser }) }),
      ...(classifier && { classifier: await read({ role: "classifier", ...classifier }) }),
    },
  };
}

/**
 * A model.json as a record.
 *
 * @param where its path, for errors
 * @throws ModelError where it is no JSON, does not follow the schema, or contradicts itself
 */
export function parseRecord(text: string, where: string): ModelRecord {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${where}: not JSON (${(cause as Error).message}); was it cut short?`, { cause });
  }
  return checkRecord(json, where);
}

/**
 * The record that a value is, of this format or an earlier one.
 *
 * @throws ModelError where it does not follow the schema, names a family that is not known, or its networks don't fit its images or classes
 */
export function checkRecord(value: unknown, where: string): ModelRecord {
  const { data, error } = modelSchema.safeParse(upgradeRecord(value));
  if (error) throw new ModelError(`${where}: ${describeProblems(error)}`);
  const { denoiser, classifier, ...model } = data;
  const record = {
    ...model,
    ...(denoiser && {
      denoiser: { ...denoiser, config: checkedConfig("denoiser", denoiser, `${where}: denoiser`) },
    }),
    ...(classifier && {
      classifier: { ...classifier, config: checkedConfig("classifier", classifier, `${where}: classifier`) },
    }),
  };
  const problem =
    (record.denoiser && denoiserProblem(record.denoiser, model)) ??
    (record.classifier && classifierProblem(record.classifier, model));
  if (problem) throw new ModelError(`${where}: ${problem}`);
  return record;
}

type Data = Pick<ModelRecord, "imageShape" | "classes">;

/** What a denoiser and the images, the classes and the process of its model contradict each other in. */
function denoiserProblem(record: DenoiserRecord, { imageShape, classes }: Data): string | undefined {
  const [channels, , width] = imageShape;
  const { process } = record;
  const signature = denoiserSignature(record);
  if (show(signature.imageShape) !== show(imageShape)) return otherImages("denoiser", signature.imageShape, imageShape);
  const problem = processProblem(process);
  if (problem) return `denoiser.process: ${problem}`;
  const expected = learnsVariance(process) ? 2 * channels : channels;
  if (signature.outChannels !== expected)
    return (
      `denoiser.config gives ${signature.outChannels} channels, but images of ${show(imageShape)} with a ` +
      `${learnsVariance(process) ? "learned" : "fixed"} variance ask for ${expected}`
    );
  if (signature.lowRes && signature.lowRes[1] > width)
    return `denoiser.config enlarges images of side ${signature.lowRes[1]}, but an upsampler makes images larger and these have side ${width}`;
  if (signature.classes !== undefined && signature.classes !== classes.length)
    return otherClasses("denoiser", signature.classes, classes);
  if (signature.nullLabel !== undefined && signature.nullLabel !== signature.classes)
    return `denoiser.config has the null label ${signature.nullLabel}, but the number of classes, ${signature.classes}, is expected`;
  return undefined;
}

/** What a classifier and the images and classes of its model contradict each other in. */
function classifierProblem(record: ClassifierRecord, { imageShape, classes }: Data): string | undefined {
  const signature = classifierSignature(record);
  if (show(signature.imageShape) !== show(imageShape))
    return otherImages("classifier", signature.imageShape, imageShape);
  return signature.classes === classes.length ? undefined : otherClasses("classifier", signature.classes, classes);
}

const otherImages = (role: NetworkRole, own: Shape, given: Shape): string =>
  `${role}.config is for images of ${show(own)}, but the model's are ${show(given)}`;
const otherClasses = (role: NetworkRole, own: number, given: readonly string[]): string =>
  `${role}.config is for ${counted(own, "class", "classes")}, but the model has ${counted(given.length, "class name")}`;

/**
 * Throws ModelError unless a network's file is the one that its record means.
 *
 * @param found the file's SHA-256
 * @param where its path, for errors
 */
export function checkHash(found: string, { sha256 }: { readonly sha256: string }, where: string): void {
  if (found !== sha256)
    throw new ModelError(
      `${where}: its SHA-256 is ${found.slice(0, 12)}... but model.json says ${sha256.slice(0, 12)}...; the file is damaged, or of another model`,
    );
}

/** The same, and unless all its numbers are finite; they are read for that alone. */
export function checkFile(
  source: ByteSource,
  found: string,
  network: { readonly sha256: string },
  where: string,
): void {
  checkHash(found, network, where);
  for (const [name, tensor] of Object.entries(openSafetensors(source, where).tensors))
    checkFinite(name, tensor.parts(), where);
}

/**
 * Weights from a network's file, as `keep` makes them of its tensors. Throws ModelError where a parameter is missing, unknown or of another
 * shape; numbers are not looked at. `where` is the file's path.
 */
export function parseWeights(
  source: ByteSource,
  network: NetworkRecord,
  where: string,
  keep: (tensor: SafeTensor, name: string) => NDArray<"float32">,
): Weights {
  const { tensors } = openSafetensors(source, where);
  checkShapes(tensors, parameterShapes(networkOf(network.role, network)), where);
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, keep(tensor, name)]));
}

/** The same weights in memory. Throws ModelError where a number is not finite as well. */
export const finiteWeights = (source: ByteSource, network: NetworkRecord, where: string): Weights =>
  parseWeights(source, network, where, (tensor, name) => {
    const array = tensor.read();
    checkFinite(name, [array.data], where);
    return array;
  });

/** Throws ModelError unless the weights are those of a network with these shapes, and finite. */
export function checkWeights(weights: Weights, shapes: Readonly<Record<string, Shape>>, where: string): void {
  checkShapes(weights, shapes, where);
  for (const [name, { data }] of Object.entries(weights)) checkFinite(name, [data], where);
}

function checkFinite(name: string, parts: Iterable<Float32Array>, where: string): void {
  const bad = firstNotFinite(parts);
  if (bad)
    throw new ModelError(`${where}: "${name}" holds ${bad.value} at ${bad.at}; the training that wrote it had failed`);
}

function checkShapes(
  tensors: Readonly<Record<string, { readonly shape: Shape }>>,
  shapes: Readonly<Record<string, Shape>>,
  where: string,
): void {
  const missing = Object.keys(shapes).filter((key) => !Object.hasOwn(tensors, key));
  const unknown = Object.keys(tensors).filter((key) => !Object.hasOwn(shapes, key));
  const list = (keys: string[]): string =>
    `${keys.slice(0, 3).join(", ")}${keys.length > 3 ? ` and ${keys.length - 3} more` : ""}`;
  if (missing.length > 0 || unknown.length > 0)
    throw new ModelError(
      [
        `${where}: these are not the weights of the network in model.json`,
        missing.length > 0 && `missing: ${list(missing)}`,
        unknown.length > 0 && `unknown: ${list(unknown)}`,
      ]
        .filter(Boolean)
        .join("; "),
    );
  for (const [key, shape] of Object.entries(shapes)) {
    const { shape: found } = tensors[key]!;
    if (show(found) !== show(shape))
      throw new ModelError(`${where}: "${key}" is ${show(found)} but the network in model.json has ${show(shape)}`);
  }
}

/** Throws ModelError unless the classifier was trained on the noise that the denoiser removes; without both there is nothing to check. */
export function checkSameNoise({
  source,
  denoiser,
  classifier,
}: Pick<Model, "source" | "denoiser" | "classifier">): void {
  if (!denoiser || !classifier) return;
  const describe = (process: ClassifierRecord["process"]): string =>
    describeNoise(process).replace(/^(\S+) schedule/, '"$1"');
  const [ours, theirs] = [describe(classifier.process), describe(denoiser.process)];
  const { schedule, steps } = denoiser.process;
  const kind = processKind(denoiser.process);
  const flag = kind === "ddpm" ? `--schedule ${schedule}` : `--process ${kind}`;
  if (ours !== theirs)
    throw new ModelError(
      `${source}/model.json: classifier was trained for schedule ${ours}, but the denoiser uses ${theirs}. ` +
        `Train the classifier with ${flag} --diffusion-steps ${steps}, or sample with --classifier-scale 0.`,
    );
}
