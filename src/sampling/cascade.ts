import type { Model } from "../checkpoint/model.ts";
import { counted } from "../counted.ts";
import type { SampleEvent } from "../draw/draw.ts";
import { ModelError } from "../errors.ts";
import { denoiserSignature } from "../models/families.ts";
import { float32, type NDArray } from "../ndarray.ts";
import { byteOf, valueOfByte } from "../pixel-range.ts";
import { normals } from "../random.ts";
import { samplingSchedule } from "../samplers/levels.ts";
import { show } from "../tensor/shape.ts";
import { guidanceOff } from "./guidance.ts";
import { type SampleSettings, sample } from "./sample.ts";
import { type Described, type RunOptions, type SettledRun, settle } from "./settings.ts";

/** How the second model of a cascade draws; its labels and seeds are those of the first. */
export type UpsamplingOptions = Pick<RunOptions, "sampler" | "guidance" | "clip" | "batchSize">;

/** Settings of `cascade`: those of the first model's sampling, and `upsampling`. */
export type CascadeOptions = RunOptions & Omit<SampleSettings, "lowRes"> & CascadeSettings;

/** What a cascade is told beside the settings of sampling. */
export interface CascadeSettings {
  /** How the upsampler draws: its own sampler by default, no guidance but what its record asks for; `clip` and `batchSize` as the first model's. */
  readonly upsampling?: UpsamplingOptions;
}

/** What is known after a step of a cascade. */
export interface CascadeEvent extends SampleEvent {
  /** Which of the two models has made this step; it counts its own steps. */
  readonly stage: "base" | "upsampler";
}

/** What a cascade asks of its models before it draws. */
export type CascadeModel = Described & Pick<Model, "imageShape">;

/** First stream of the upsampler's noise: above every stream of the first model (`streamOf`), so that no two draws of a seed share numbers. */
const upsamplerStreams = 2 ** 52;

/**
 * Draws pictures with one model and enlarges them with another, as openai/guided-diffusion does in two programs (Dhariwal & Nichol 2021,
 * section 5.2): the upsampler is told the same labels, and sees the small pictures as their file of bytes would hold them.
 *
 * @throws ModelError where the second is no upsampler of the first one's pictures and classes; else as `sample`
 */
export async function* cascade(
  base: Model,
  upsampler: Model,
  { upsampling, ...options }: CascadeOptions,
): AsyncGenerator<CascadeEvent, void, undefined> {
  const { backend, signal, start, weakModel, guides, noise = normals } = options;
  const around = { ...(backend && { backend }), ...(signal && { signal }) };
  const run = settle(base, options);
  // Before the first step: what does not fit is said at once, not after the small pictures are drawn.
  const second = settleUpsampling(base, upsampler, run, upsampling);
  let pictures: NDArray<"float32"> | undefined;
  for await (const event of sample(base, {
    ...run,
    ...around,
    ...(start && { start }),
    ...(weakModel && { weakModel }),
    ...(guides && { guides }),
    noise,
  })) {
    yield { ...event, stage: "base" };
    pictures = event.x;
  }
  const large = sample(upsampler, {
    ...second,
    ...around,
    labels: toldLabels(upsampler, run),
    lowRes: asBytes(pictures!),
    noise: (seed, stream, count) => noise(seed, upsamplerStreams + stream, count),
  });
  for await (const event of large) yield { ...event, stage: "upsampler" };
}

/**
 * Makes every choice that was left open for the second model of a cascade.
 *
 * @param run the first model's
 * @throws ModelError where it is no upsampler of the first one's pictures and classes; UsageError for settings that it cannot serve
 */
export function settleUpsampling(
  base: CascadeModel,
  upsampler: CascadeModel,
  run: SettledRun,
  { sampler, guidance = {}, clip = run.clip, batchSize = run.batchSize }: UpsamplingOptions = {},
): SettledRun {
  checkFits(base, upsampler);
  // Where its record does not ask for guidance there is none.
  const quiet = { ...upsampler, sampling: { ...guidanceOff, ...upsampler.sampling } };
  const second = settle(quiet, {
    labels: toldLabels(upsampler, run),
    seeds: run.seeds,
    ...(sampler && { sampler }),
    guidance,
    clip,
    batchSize,
  });
  // Steps that cannot be had throw here, where they cost nothing.
  samplingSchedule(upsampler.denoiser!.process, second.sampler);
  return second;
}

/** Pictures after their way through a file: each value becomes that of its byte. */
const asBytes = ({ shape, data }: NDArray<"float32">): NDArray<"float32"> =>
  float32(
    shape,
    data.map((value) => valueOfByte(byteOf(value))),
  );

/** The labels of a run for an upsampler, which may be told none. */
const toldLabels = ({ denoiser }: CascadeModel, { labels }: SettledRun): RunOptions["labels"] =>
  denoiser && denoiserSignature(denoiser).classes !== undefined ? labels : undefined;

/** Throws ModelError unless the second model enlarges the pictures of the first and knows its classes. */
function checkFits(base: CascadeModel, upsampler: CascadeModel): void {
  const { denoiser, source } = upsampler;
  const { lowRes, classes } = denoiser ? denoiserSignature(denoiser) : {};
  if (!lowRes)
    throw new ModelError(
      `${source}: is no upsampler, it draws pictures from noise alone; an upsampler's denoiser takes small images too`,
    );
  const expected = show(lowRes);
  const found = show(base.imageShape);
  if (found !== expected)
    throw new ModelError(
      `${source}: enlarges pictures ${expected}, but those of ${base.source} are ${found}; choose models that fit each other, or import the upsampler again with the right --small_size`,
    );
  if (classes === undefined) return;
  if (base.classes.length !== upsampler.classes.length)
    throw new ModelError(
      `${source}: is told one of ${counted(upsampler.classes.length, "class", "classes")}, but ${base.source} has ${base.classes.length}; choose models of the same classes`,
    );
  // A model without names of its own counts its classes.
  const isNumber = (name: string, i: number): boolean => name === String(i);
  const other = base.classes.findIndex((name, i) => {
    const theirs = upsampler.classes[i]!;
    return name !== theirs && !isNumber(name, i) && !isNumber(theirs, i);
  });
  if (other >= 0)
    throw new ModelError(
      `${source}: class ${other} is "${upsampler.classes[other]}", but "${base.classes[other]}" to ${base.source}; choose models of the same classes`,
    );
}
