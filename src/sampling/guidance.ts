import type { Model } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import { describeNoise } from "../diffusion/process-config.ts";
import { ModelError, UsageError } from "../errors.ts";
import { checkGuidance } from "../guidance/guide.ts";
import { checkInterval, type Interval, inInterval } from "../guidance/interval.ts";
import type { Projection } from "../guidance/projected.ts";
import { checkSchedule, factorAt, type ScaleSchedule, scaleAt } from "../guidance/schedule.ts";
import { checkPercentile } from "../guidance/threshold.ts";
import { denoiserSignature } from "../models/families.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { show } from "../tensor/shape.ts";

/** How strongly, and by what, sampling is steered towards the labels. */
export interface Guidance {
  /** Scale of classifier guidance; 0 is off. */
  readonly classifier?: number | undefined;
  /** Scale of classifier-free guidance; 1 is off. Papers that count from there write w = scale - 1. */
  readonly classifierFree?: number | undefined;
  /** Where ancestral sampling takes the classifier's gradient: at `x_t` (the default), or at the `mean` of x_{t-1}. */
  readonly gradientAt?: "x_t" | "mean" | undefined;
  /** The denoiser is told no class, so that the classifier alone steers. */
  readonly unconditional?: boolean | undefined;
  /** Scale of autoguidance by a weak model; 1 is off. By default 2 where a weak model is given. */
  readonly autoguidance?: number | undefined;
  /** CFG++, for DDIM: the classifier-free scale is then a lambda from 0 to 1, 0.6 by default. */
  readonly cfgPlusPlus?: boolean | undefined;
  /** Adaptive projected guidance; what is left out is eta 0, threshold 0 (no limit) and momentum 0 (none). */
  readonly apg?: Partial<Projection> | undefined;
  /** phi of rescaled classifier-free guidance, from 0, off, to 1. */
  readonly rescale?: number | undefined;
  /** Dynamic thresholding in place of the limit of [-1, 1]: a percentile of each image's absolute values; 99.5 is usual. */
  readonly threshold?: number | undefined;
  /** Noise levels sigma / alpha at which there is guidance of any kind; elsewhere it is not computed. Everywhere by default. */
  readonly interval?: Interval | undefined;
  /** How all scales grow over the steps; `constant` by default. Where a factor is 0, guidance is not computed. */
  readonly schedule?: ScaleSchedule | undefined;
}

type Always = "classifier" | "classifierFree" | "gradientAt" | "unconditional";

/** The same with every choice made. What is missing is off. */
export type SettledGuidance = { readonly [K in Always]: NonNullable<Guidance[K]> } & Omit<Guidance, Always | "apg"> & {
    readonly apg?: Projection | undefined;
  };

/** What `settleGuidance` needs of a model. */
type Described = Pick<Model, "source" | "denoiser" | "classifier" | "sampling">;

/** And beside the model. */
interface Around {
  readonly guidance: Guidance;
  readonly sampler: Sampler;
  readonly weak: Model | undefined;
}

/**
 * Makes every choice of guidance that was left open; see `settle`.
 *
 * @throws UsageError for settings that exclude each other, or that the model cannot serve; ModelError for a weak model that does not fit
 */
export function settleGuidance(model: Described, { guidance, sampler, weak }: Around): SettledGuidance {
  const { sampling = {}, denoiser, classifier } = model;
  const { unconditional = false, gradientAt = "x_t", cfgPlusPlus, rescale, threshold, interval, schedule } = guidance;
  if (gradientAt === "mean" && sampler.kind !== "ddpm")
    throw new UsageError(
      'sample: only ddpm has a mean to take the classifier\'s gradient at; use ddpm, or gradientAt "x_t"',
    );
  if (cfgPlusPlus && sampler.kind !== "ddim")
    throw new UsageError(`sample: CFG++ changes the step of ddim, but the sampler is ${sampler.kind}; use ddim`);
  const mixes = denoiser !== undefined && denoiserSignature(denoiser).nullLabel !== undefined && !unconditional;
  const steered = unconditional ? (sampling.unconditionalClassifier ?? 2) : (sampling.classifier ?? (mixes ? 0 : 1));
  // A weak model takes the place of the missing class, as in its paper, unless both are asked for.
  const usual = !mixes || weak ? 1 : cfgPlusPlus ? usualLambda : (sampling.classifierFree ?? 2);
  const { autoguidance = weak ? usualAutoguidance : 1 } = guidance;
  const apg = guidance.apg && { eta: 0, threshold: 0, momentum: 0, ...definedOf(guidance.apg) };
  const settled: SettledGuidance = {
    classifier: guidance.classifier ?? (classifier ? steered : 0),
    classifierFree: guidance.classifierFree ?? usual,
    gradientAt,
    unconditional,
    ...(autoguidance !== 1 && { autoguidance }),
    ...(cfgPlusPlus && { cfgPlusPlus }),
    ...(apg && { apg }),
    ...(rescale && { rescale }),
    ...(threshold !== undefined && { threshold }),
    ...(interval && { interval }),
    ...(schedule && schedule !== "constant" && { schedule }),
  };
  checkSettled(settled, guidance);
  checkWeak(model, weak, autoguidance);
  return settled;
}

/** Throws UsageError where guidance is not the same at every step; `what` cannot follow that. */
export function checkSteady({ interval, schedule, apg }: Guidance, what: string): void {
  if (interval || (schedule && schedule !== "constant") || apg?.momentum)
    throw new UsageError(
      `${what}: guidance must be the same at every step; leave out its interval, its schedule and the momentum of apg`,
    );
}

const usualLambda = 0.6;
const usualAutoguidance = 2;

const definedOf = <T extends object>(settings: T): Partial<T> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Partial<T>;

function checkSettled(settled: SettledGuidance, asked: Guidance): void {
  const { classifierFree, autoguidance = 1, cfgPlusPlus, interval, schedule, rescale, apg } = settled;
  checkGuidance(settled);
  if (settled.threshold !== undefined) checkPercentile(settled.threshold);
  if (interval) checkInterval(interval);
  if (schedule) checkSchedule(schedule);
  if (cfgPlusPlus && schedule)
    throw new UsageError("sample: CFG++ is itself a schedule of the scale; use it alone, or leave cfgPlusPlus out");
  // Asked for by a scale of 1, nothing is wrong: that is one end of a series of scales.
  if ((rescale || apg) && classifierFree === 1 && autoguidance === 1 && asked.classifierFree === undefined)
    throw new UsageError(
      "sample: rescale and apg change what classifier-free guidance or autoguidance add, but both are off here; give one of them a scale",
    );
}

/** Throws unless a weak model is there where it is needed, and draws the same pictures of the same noise. */
function checkWeak(model: Described, weak: Model | undefined, scale: number): void {
  if (!weak) {
    if (scale === 1) return;
    throw new UsageError("sample: autoguidance needs a weak model; give one, or leave autoguidance out");
  }
  if (!weak.denoiser)
    throw new ModelError(`${weak.source}: the weak model has no denoiser, so it cannot guide; give another one`);
  if (!model.denoiser) return;
  const [ours, theirs] = [describe(model.denoiser), describe(weak.denoiser)];
  if (ours !== theirs)
    throw new ModelError(
      `${weak.source}: a weak model draws the same pictures from the same noise as the one that it guides, but it is for ${theirs}, and ${model.source} for ${ours}`,
    );
}

function describe(record: DenoiserRecord): string {
  const { imageShape, lowRes, classes } = denoiserSignature(record);
  const from = lowRes ? ` enlarged from side ${lowRes[1]}` : "";
  return `images ${show(imageShape)}${from} of ${classes ?? "no"} classes, ${describeNoise(record.process)}`;
}

/** Does any guidance add something to the denoiser's prediction? */
const guides = ({ classifier, classifierFree, autoguidance = 1, cfgPlusPlus }: SettledGuidance): boolean =>
  classifier !== 0 || classifierFree !== 1 || autoguidance !== 1 || cfgPlusPlus === true;

/** Is the weak model asked? */
export const asksWeak = ({ autoguidance = 1 }: SettledGuidance): boolean => autoguidance !== 1;

/** Under this name the momentum of `apg` remembers. */
export type GuidanceMemory = "average";

/** What guidance remembers from step to step. */
export const guidanceMemory = ({ apg }: SettledGuidance): GuidanceMemory[] =>
  apg && apg.momentum !== 0 ? ["average"] : [];

/** The same with everything off. */
export const withoutGuidance = ({ gradientAt, unconditional, threshold }: SettledGuidance): SettledGuidance => ({
  classifier: 0,
  classifierFree: 1,
  gradientAt,
  unconditional,
  ...(threshold !== undefined && { threshold }),
});

/** Value at which each scale is off. */
const off = { classifier: 0, classifierFree: 1, autoguidance: 1 } as const;
export type ScaleName = keyof typeof off;

/** Scales by name. */
export type Scales = Readonly<Record<string, number>>;

/** The scales that change from step to step, which are therefore inputs of the program. */
export const scheduledScales = ({ schedule, ...guidance }: SettledGuidance): ScaleName[] =>
  schedule === undefined
    ? []
    : (Object.keys(off) as ScaleName[]).filter((name) => (guidance[name] ?? off[name]) !== off[name]);

/**
 * The scheduled scales at a step 1 ... steps, where the noise level is `ratio` = sigma / alpha; undefined where no guidance is
 * computed, because the noise level is outside the interval or the factor is 0.
 */
export function scalesAt(
  guidance: SettledGuidance,
  { step, steps, ratio }: { readonly step: number; readonly steps: number; readonly ratio: number },
): Scales | undefined {
  if (!guides(guidance)) return {};
  const factor = factorAt(guidance.schedule ?? "constant", step, steps);
  if (factor === 0 || !inInterval(guidance.interval ?? [0, Infinity], ratio)) return undefined;
  return Object.fromEntries(
    scheduledScales(guidance).map((name) => [name, scaleAt(guidance[name]!, off[name], factor)]),
  );
}
