import { describeNoise, learnsVariance, processProblem } from "../diffusion/process-config.ts";
import { ModelError } from "../errors.ts";
import type { ByteSource } from "../formats/bytes.ts";
import { firstNotFinite } from "../formats/lazy-tensor.ts";
import { openSafetensors, type SafeTensor } from "../formats/safetensors.ts";
import { encoderUnet } from "../models/classifier.ts";
import { superResUnet } from "../models/super-resolution.ts";
import { unet } from "../models/unet.ts";
import type { NDArray, Shape } from "../ndarray.ts";
import { parameterShapes } from "../nn/module.ts";
import { show } from "../tensor/shape.ts";
import {
  type ClassifierRecord,
  type DenoiserRecord,
  describeProblems,
  type ModelRecord,
  modelSchema,
} from "./schema.ts";

/** Learned numbers of a network by state-dict key. */
export type Weights = Readonly<Record<string, NDArray<"float32">>>;

/** Networks that a model may hold. */
export type NetworkName = "denoiser" | "classifier";
export const networkNames = ["denoiser", "classifier"] as const;

/** A model in memory: its record, and the weights of the networks that the record has. */
export interface Model extends ModelRecord {
  /** Where it came from, for messages and records. */
  readonly source: string;
  readonly weights: { readonly [N in NetworkName]?: Weights };
}

/** A network of a model, by name, as its record describes it. */
export type NamedNetwork =
  | ({ readonly name: "denoiser" } & DenoiserRecord)
  | ({ readonly name: "classifier" } & ClassifierRecord);

/** The model of a record, whose weights `read` gets for each network that the record has. */
export async function modelOf(
  record: ModelRecord,
  source: string,
  read: (network: NamedNetwork) => Promise<Weights>,
): Promise<Model> {
  const { denoiser, classifier } = record;
  return {
    ...record,
    source,
    weights: {
      ...(denoiser && { denoiser: await read({ name: "denoiser", ...denoiser }) }),
      ...(classifier && { classifier: await read({ name: "classifier", ...classifier }) }),
    },
  };
}

/** What a record says of a network's architecture. */
export type NetworkDescription =
  | ({ readonly name: "denoiser" } & Pick<DenoiserRecord, "config" | "lowResolution">)
  | ({ readonly name: "classifier" } & Pick<ClassifierRecord, "config">);

/** Shape of every parameter of a network by state-dict key. */
export function networkShapes(network: NetworkDescription): Record<string, Shape> {
  if (network.name === "classifier") return parameterShapes(encoderUnet(network.config));
  const { config, lowResolution } = network;
  return parameterShapes(lowResolution === undefined ? unet(config) : superResUnet(config));
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

/** The record that a value is. Throws ModelError where it does not follow the schema, or its networks don't fit its images or classes. */
export function checkRecord(value: unknown, where: string): ModelRecord {
  const { data: record, error } = modelSchema.safeParse(value);
  if (error) throw new ModelError(`${where}: ${describeProblems(error)}`);
  const { classes, imageShape, denoiser, classifier } = record;
  const [channels, height, width] = imageShape;
  const expect = (what: string, found: number | undefined, expected: number, why: string): void => {
    if (found !== expected) throw new ModelError(`${where}: ${what} is ${found} but ${why} ask for ${expected}`);
  };
  const images = `images of ${show(imageShape)}`;
  expect("the images' height", height, width, "square images");
  if (denoiser) {
    const { config, lowResolution, process } = denoiser;
    expect("denoiser.config.imageSize", config.imageSize, width, images);
    expect("denoiser.config.inChannels", config.inChannels, channels, images);
    const problem = processProblem(process);
    if (problem) throw new ModelError(`${where}: denoiser.process: ${problem}`);
    const learned = learnsVariance(process);
    const out = `${images} with a ${learned ? "learned" : "fixed"} variance`;
    expect("denoiser.config.outChannels", config.outChannels, learned ? 2 * channels : channels, out);
    if (lowResolution !== undefined && lowResolution > width)
      throw new ModelError(
        `${where}: denoiser.lowResolution is ${lowResolution}, but an upsampler makes images larger and these have side ${width}`,
      );
    if (config.numClasses !== undefined)
      expect("denoiser.config.numClasses", config.numClasses, classes.length, "the class names");
  }
  if (classifier) {
    expect("classifier.config.imageSize", classifier.config.imageSize, width, images);
    expect("classifier.config.inChannels", classifier.config.inChannels, channels, images);
    expect("classifier.config.outChannels", classifier.config.outChannels, classes.length, "the class names");
  }
  return record;
}

/**
 * Throws ModelError unless a network's file is the one that its record means, and all its numbers are finite.
 *
 * @param found the file's SHA-256
 * @param where its path, for errors
 */
export function checkFile(
  source: ByteSource,
  found: string,
  { sha256 }: { readonly sha256: string },
  where: string,
): void {
  if (found !== sha256)
    throw new ModelError(
      `${where}: its SHA-256 is ${found.slice(0, 12)}... but model.json says ${sha256.slice(0, 12)}...; the file is damaged, or of another model`,
    );
  for (const [name, tensor] of Object.entries(openSafetensors(source, where).tensors))
    checkFinite(name, tensor.parts(), where);
}

/**
 * Weights from a network's file, as `keep` makes them of its tensors. Throws ModelError where a parameter is missing, unknown or of another
 * shape; numbers are not looked at. `where` is the file's path.
 */
export function parseWeights(
  source: ByteSource,
  network: NetworkDescription,
  where: string,
  keep: (tensor: SafeTensor) => NDArray<"float32">,
): Weights {
  const { tensors } = openSafetensors(source, where);
  checkShapes(tensors, networkShapes(network), where);
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, keep(tensor)]));
}

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
  const flag =
    schedule === "flow" ? "--process flow" : schedule === "exploding" ? "--process edm" : `--schedule ${schedule}`;
  if (ours !== theirs)
    throw new ModelError(
      `${source}/model.json: classifier was trained for schedule ${ours}, but the denoiser uses ${theirs}. ` +
        `Train the classifier with ${flag} --noise-steps ${steps}, or sample with --classifier-scale 0.`,
    );
}
