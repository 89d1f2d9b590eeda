import type { Model } from "../checkpoint/model.ts";
import { labelOf } from "../class-names.ts";
import { UsageError } from "../errors.ts";
import { type Guidance, type SettledGuidance, settleGuidance } from "./guidance.ts";
import type { Steps } from "./levels.ts";
import { makeSampler, type Sampler, type SamplerKind, usualSamplers } from "./sampler.ts";

/** What the pictures of a run depend on, beside the model. */
export interface RunOptions {
  /** Class names or labels, cycled over the seeds, which may be fewer; every class in turn by default. */
  readonly labels?: readonly (string | number)[];
  /** One for each image; an image depends on its own only. */
  readonly seeds: readonly number[];
  /** The model's own by default, else DPM-Solver++ (2M) of 10 steps. */
  readonly sampler?: Sampler;
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
 * Where nothing is said: of the bundled digits it is the fastest that is as close to the data as 250 steps of ancestral sampling;
 * `npm run bench -- samplers` measures it.
 */
const usualKind: SamplerKind = "dpm++2m";

/** The sampler that a model's record asks for, or the default, of no more steps than the model's noise has; `kind` wins where given. */
export function defaultSampler(
  { sampling = {}, denoiser }: Pick<Described, "sampling" | "denoiser">,
  kind = sampling.sampler ?? usualKind,
): Sampler {
  const own = kind === (sampling.sampler ?? usualKind) ? sampling : {};
  const { steps = usualSteps(kind, denoiser), levels, eta, churn, order } = own;
  // What the record says of settings that this sampler does not have is for others.
  const usual = usualSamplers[kind];
  return makeSampler(kind, {
    steps,
    levels,
    ...("eta" in usual && { eta }),
    ...("churn" in usual && { churn }),
    ...("order" in usual && { order }),
  });
}

/** Steps that give good pictures, but no more than the model's chain has. */
export function usualSteps(kind: Sampler["kind"], denoiser: Described["denoiser"]): Steps {
  const { steps } = usualSamplers[kind];
  return typeof steps === "number" ? Math.min(steps, denoiser?.process.steps ?? steps) : steps;
}

/** Throws UsageError for steps that cannot be. */
function checkSteps({ steps, levels = "chain" }: Sampler, length: number): void {
  if (typeof steps === "string") {
    if (levels === "chain") return;
    throw new UsageError(
      `sample: steps "${steps}" are timesteps of a chain, but levels "${levels}" lie between them; give a number of steps`,
    );
  }
  const most = levels === "chain" ? length : mostSteps;
  if (!Number.isInteger(steps) || steps < 1 || steps > most) {
    const why = levels === "chain" ? ", the model's T," : "";
    throw new UsageError(`sample: steps must be a whole number from 1 to ${most}${why} but is ${steps}`);
  }
}

/** More levels than this differ by less than float32 tells. */
const mostSteps = 10_000;

/**
 * Makes every choice that was left open.
 *
 * Scales that are not given are the model's own, else classifier-free guidance of 2 where the denoiser has a null label, else
 * classifier guidance of 1 where there is a classifier; without a class for the denoiser, classifier guidance of 2. A weak model takes
 * the place of classifier-free guidance: autoguidance of 2.
 *
 * @throws UsageError for classes that the model lacks, or settings that exclude each other
 */
export function settle(model: Described, options: RunOptions): Run {
  const { labels, seeds, sampler = defaultSampler(model), guidance = {}, weak, clip = true, batch = 16 } = options;
  const { denoiser } = model;
  // From JavaScript they may be missing.
  if (!seeds?.length) throw new UsageError("sample: there are no seeds; give one for each image");
  if (labels?.length === 0) throw new UsageError("sample: labels is empty; leave it out for every class in turn");
  if (!Number.isInteger(batch) || batch < 1)
    throw new UsageError(`sample: batch must be a whole number from 1 but is ${batch}`);
  if (denoiser) checkSteps(sampler, denoiser.process.steps);

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
