import type { Model } from "../checkpoint/model.ts";
import { labelOf } from "../class-names.ts";
import { type Seeds, seedsOf } from "../draw/seeds.ts";
import { UsageError } from "../errors.ts";
import type { Guidance, SettledGuidance } from "../guidance/guidances.ts";
import type { Predictor } from "../guidance/predictor.ts";
import { neededReads, settleGuidance } from "../guidance/settle.ts";
import { checkBatchSize } from "../runtime/batches.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { type AskedSampler, settleSampler } from "../samplers/samplers.ts";
import { factsOf } from "./guidance.ts";

/** What the pictures of a run depend on, beside the model. */
export type RunOptions = RunSettings & Seeds;

/** Settings of a run, apart from its seeds. */
export interface RunSettings {
  /** Class names or labels, cycled over the seeds, which may be fewer; every class in turn by default. */
  readonly labels?: readonly (string | number)[] | undefined;
  /** The model's own by default, else DPM-Solver++ (2M) of 10 steps; what is left open is the model's own too, else usual. */
  readonly sampler?: AskedSampler;
  /** The model's own scales by default. */
  readonly guidance?: Guidance;
  /** A worse version of the model for autoguidance: smaller, or an earlier checkpoint. */
  readonly weakModel?: Model;
  /** Guidance of one's own: each maps the predictor of all guidance before it. A record of the run cannot hold it. */
  readonly guides?: readonly ((predictor: Predictor) => Predictor)[];
  /** Limit predicted images to [-1, 1]; on by default. */
  readonly clip?: boolean;
  /** Most images at a time; pictures don't depend on it but for rounding. Default 16. */
  readonly batchSize?: number;
}

/** The same with every choice made; plain JSON. A weak model is not in it, and is given again. */
export interface SettledRun {
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** Seed of each picture. */
  readonly seeds: readonly number[];
  /** With every setting. */
  readonly sampler: Sampler;
  /** With every setting; of what may be missing, missing is off. */
  readonly guidance: SettledGuidance;
  /** Are predicted images limited to [-1, 1]? */
  readonly clip: boolean;
  /** Most images at a time. */
  readonly batchSize: number;
  /** There is guidance of the caller's own, which is given again too. */
  readonly ownGuides?: true;
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
 * @throws UsageError for classes that the model lacks, settings that are out of range, exclude each other, or that the model cannot serve;
 *   ModelError for a weak model that does not fit
 */
export function settle(model: Described, options: RunOptions): SettledRun {
  const { labels, guidance = {}, weakModel, guides = [], clip = true, batchSize = 16 } = options;
  const { denoiser } = model;
  const seeds = seedsOf(options);
  if (labels?.length === 0) throw new UsageError("sample: labels is empty; leave it out for every class in turn");
  checkBatchSize(batchSize);
  const sampler = settleSampler(options.sampler, {
    record: model.sampling,
    process: denoiser?.process,
    reads: neededReads(guidance, model.sampling),
  });

  const chosen = labels?.map((label) => labelOf(label, model)) ?? Array.from(model.classes.keys());
  return {
    labels: seeds.map((_, i) => chosen[i % chosen.length] ?? 0),
    seeds,
    sampler,
    guidance: settleGuidance(guidance, factsOf(model, { sampler, weakModel }), model.sampling ?? {}),
    clip,
    batchSize,
    ...(guides.length > 0 && { ownGuides: true as const }),
  };
}
