import type { Model } from "../checkpoint/model.ts";
import { labelOf } from "../class-names.ts";
import { type Seeds, seedsOf } from "../draw/seeds.ts";
import { UsageError } from "../errors.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { type AskedSampler, settleSampler } from "../samplers/samplers.ts";
import { type Guidance, type SettledGuidance, settleGuidance } from "./guidance.ts";

/** What the pictures of a run depend on, beside the model. */
export type RunOptions = RunSettings & Seeds;

export interface RunSettings {
  /** Class names or labels, cycled over the seeds, which may be fewer; every class in turn by default. */
  readonly labels?: readonly (string | number)[] | undefined;
  /** The model's own by default, else DPM-Solver++ (2M) of 10 steps; what is left open is the model's own too, else usual. */
  readonly sampler?: AskedSampler;
  /** The model's own scales by default. */
  readonly guidance?: Guidance;
  /** A worse version of the model for autoguidance: smaller, or an earlier checkpoint. */
  readonly weak?: Model;
  /** Limit predicted images to [-1, 1]; on by default. */
  readonly clip?: boolean;
  /** Most images at a time; pictures don't depend on it but for rounding. Default 16. */
  readonly batch?: number;
}

/** The same with every choice made; plain JSON. A weak model is not in it, and is given again. */
export interface Run {
  readonly labels: readonly number[];
  readonly seeds: readonly number[];
  readonly sampler: Sampler;
  readonly guidance: SettledGuidance;
  readonly clip: boolean;
  readonly batch: number;
}

/** What `settle` needs of a model. */
export type Described = Pick<Model, "source" | "classes" | "denoiser" | "classifier" | "sampling">;

/**
 * Makes every choice that was left open.
 *
 * Scales that are not given are the model's own, else classifier-free guidance of 2 where the denoiser has a null label, else
 * classifier guidance of 1 where there is a classifier; without a class for the denoiser, classifier guidance of 2. A weak model takes
 * the place of classifier-free guidance: autoguidance of 2.
 *
 * @throws UsageError for classes that the model lacks, and settings that are out of range or exclude each other
 */
export function settle(model: Described, options: RunOptions): Run {
  const { labels, guidance = {}, weak, clip = true, batch = 16 } = options;
  const { denoiser } = model;
  const seeds = seedsOf(options);
  if (labels?.length === 0) throw new UsageError("sample: labels is empty; leave it out for every class in turn");
  if (!Number.isInteger(batch) || batch < 1)
    throw new UsageError(`sample: batch must be a whole number from 1 but is ${batch}`);
  const sampler = settleSampler(options.sampler, { record: model.sampling, process: denoiser?.process });

  const chosen = labels?.map((label) => labelOf(label, model)) ?? Array.from(model.classes.keys());
  return {
    labels: seeds.map((_, i) => chosen[i % chosen.length] ?? 0),
    seeds,
    sampler,
    guidance: settleGuidance(model, { guidance, sampler, weak }),
    clip,
    batch,
  };
}
