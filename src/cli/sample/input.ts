import type { Model } from "../../checkpoint/model.ts";
import type { Start } from "../../draw/start.ts";
import { DataError, ModelError, UsageError } from "../../errors.ts";
import { classifierFreeGuidance } from "../../guidance/kinds/classifier-free.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";
import { flagOf } from "../terminal/option.ts";
import type { SampleValues } from "./command.ts";
import { guidanceOptions } from "./guidance-options.ts";
import { type Latents, readLatents } from "./latents.ts";
import { modelMask, modelPicture, readInput } from "./picture.ts";
import { samplerOptions } from "./sampler-options.ts";

/** What a record says of the files that its pictures were made from. */
export type InputRecord = NonNullable<RunSpec["input"]>;

/** Options that latents decide. */
const decidedByLatents = [
  ...["count", "seed", ...Object.keys(samplerOptions)],
  ...Object.keys(guidanceOptions).filter((key) => key !== classifierFreeGuidance.scale),
];
const ofPictures = ["init", "strength", "mask", "resample"];

/** Throws UsageError for options that exclude each other, or that say something of one that is missing. */
export function checkInputOptions(given: ReadonlySet<string>): void {
  const excluded = (key: string, others: readonly string[], why: string): void => {
    const both = others.filter((other) => given.has(other)).map(flagOf);
    if (given.has(key) && both.length > 0)
      throw new UsageError(`${flagOf(key)} ${why}, so ${both.join(", ")} cannot be given with it; leave one out`);
  };
  excluded("fromLatents", [...decidedByLatents, ...ofPictures], "starts from what encode found, and with its steps");
  const needs = (key: string, other: string): void => {
    if (given.has(key) && !given.has(other))
      throw new UsageError(`${flagOf(key)} needs ${flagOf(other)}; give it too, or leave ${flagOf(key)} out`);
  };
  needs("strength", "init");
  needs("mask", "init");
  needs("resample", "mask");
  if (given.has("init") && !given.has("mask") && !given.has("strength"))
    throw new UsageError("--init needs --strength, how much of the picture to change (0.6), or --mask, where to draw");
}

/** The record of what the options name, with the hashes of the files; undefined where pictures are drawn from noise. */
export async function inputRecord(values: SampleValues): Promise<InputRecord | undefined> {
  const { fromLatents, init, mask, strength = 1, resample = 1 } = values;
  if (fromLatents !== undefined) return { kind: "latents", ...(await fileRecord(fromLatents)) };
  if (init === undefined) return undefined;
  const picture = await fileRecord(init);
  if (mask === undefined) return { kind: "picture", ...picture, strength };
  return { kind: "inpaint", ...picture, mask: await fileRecord(mask), strength, resample };
}

const fileRecord = async (path: string) => ({ path, sha256: (await readInput(path)).hash });

/** The latents of a record. */
export async function openLatents(record: { readonly path: string; readonly sha256: string }): Promise<Latents> {
  return readLatents(await readSame(record), record.path);
}

/** Throws ModelError unless these weights found the latents. */
export function checkLatentsModel({ spec }: Latents, path: string, { source, denoiser }: Model): void {
  if (spec.model.denoiser !== denoiser?.sha256)
    throw new ModelError(`${path}: was encoded by ${spec.model.name}, which has other weights than ${source}`);
}

/** What a record stands for. Throws DataError where a file cannot be read, or is no longer that of the record. */
export async function openStart(record: InputRecord, model: Model, count: number): Promise<Start> {
  if (record.kind === "latents") return { kind: "latents", x: (await openLatents(record)).x };
  const { path, strength } = record;
  const x0 = await modelPicture(await readSame(record), path, model, count);
  if (record.kind === "picture") return { kind: "picture", x0, strength };
  const mask = await modelMask(await readSame(record.mask), record.mask.path, model);
  return { kind: "inpaint", x0, mask, strength, resample: record.resample };
}

async function readSame({ path, sha256 }: { readonly path: string; readonly sha256: string }): Promise<Uint8Array> {
  const { bytes, hash } = await readInput(path);
  if (hash !== sha256)
    throw new DataError(
      `${path}: is not the file that the picture was made from (SHA-256 ${hash.slice(0, 12)}..., recorded ${sha256.slice(0, 12)}...); put that one there`,
    );
  return bytes;
}
