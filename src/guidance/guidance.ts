import type { OpenValues, Settings, SettingValues } from "../setting.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { GuidanceMix } from "./mix.ts";
import type { Classifier, Predictor, Scale } from "./predictor.ts";

/** A network that guidance asks beside the denoiser. */
export type GuidanceNetwork = "classifier" | "weakModel";

/** What a guidance reads of a prediction for the sampler's sake; see `SamplerDefinition`. */
export type Reads = "mean" | "renoise";

/** What is known of a run when a guidance's choices are made. */
export interface Circumstances {
  /** Has the denoiser a label for no class, and are there these networks? */
  readonly nullLabel: boolean;
  readonly classifier: boolean;
  readonly weakModel: boolean;
  /** Largest scale of classifier-free guidance that the denoiser is told, where it is a student that learnt to follow it. */
  readonly maxCfgScale?: number | undefined;
  /** The sampler, where it is known. */
  readonly sampler?: { readonly kind: string; readonly reads?: Reads } | undefined;
  /** Is a setting of a guidance before this one other than off? */
  isOn(setting: string): boolean;
  /** How many of the guidances before this one mix two predictions. */
  readonly mixing: number;
  /** Did the caller leave their scales to us? */
  readonly scalesOpen: boolean;
}

/** What a guidance makes its predictor of. */
export interface GuidanceParts {
  /** How two predictions are mixed. */
  readonly mix: GuidanceMix;
  /** A scale by its name: traced where it changes from step to step. */
  scaleOf(name: string): Scale;
  /** The label that stands for no class. */
  readonly nullLabel: number | undefined;
  /** Is the denoiser told the scale of classifier-free guidance? */
  readonly toldScale: boolean;
  readonly classifier: Classifier | undefined;
  /** The weak model's predictor. */
  readonly weak: Predictor | undefined;
  /** What a classifier shifts: the reverse `mean` (ancestral sampling) or the `score` (every other sampler). */
  readonly form: "mean" | "score";
  /** Are predicted images limited to [-1, 1]? */
  readonly clip: boolean;
}

/** A place in a sampling: step 1 ... steps, where the noise level is `ratio` = sigma / alpha. */
export interface GuidancePlace {
  readonly step: number;
  readonly steps: number;
  readonly ratio: number;
}

/**
 * A way to steer sampling, or a part of one: its settings and what it makes of predictors. Records, options, refusals, axes of sweeps
 * and descriptions are derived from this value. A guidance of one's own that needs no settings is a function from predictor to
 * predictor, which `sample` and `draw` take as it is.
 */
export interface GuidanceDefinition<S extends Settings = Settings> {
  readonly settings: S;
  /** Settings of a model's record alone, which choose the others. */
  readonly recorded?: Settings;
  /** The setting that says how strong it is, and is off where it adds nothing. Without one, it changes what others do. */
  readonly scale?: string;
  /** Does it mix two predictions? */
  readonly mixes?: boolean;
  /** Is its scale what students are told? For them it mixes nothing. */
  readonly told?: boolean;
  /** Does it hold where there is no guidance too? */
  readonly always?: boolean;
  /** The network that it asks where it is on. */
  readonly network?: GuidanceNetwork;
  /** Is it on? By default, if its scale is not off. */
  on?(values: SettingValues<S>): boolean;
  /** Values in place of those that are left open; by default those of the model's record. */
  usual?(asked: OpenValues<S>, record: OpenValues<S & Settings>, around: Circumstances): OpenValues<S>;
  /** Why it cannot be had. */
  problem?(values: SettingValues<S>, around: Circumstances): string | undefined;
  /** Settings of other guidances that must be off, and why. */
  excludes?(values: SettingValues<S>): Readonly<Record<string, string>>;
  /** What a sampler must read to follow it, where that decides which one is chosen. */
  reads?(asked: OpenValues<S>): Reads | undefined;

  /** What becomes of a network's predictor before anything else, the weak model's too. */
  tell?(values: SettingValues<S>, predictor: Predictor, nullLabel: number | undefined): Predictor;
  /** What becomes of the mix of two predictions. `memory` holds what it remembers, [N, C, H, W] each, and takes the next values. */
  mix?(values: SettingValues<S>, mix: GuidanceMix, memory: Record<string, Tensor>): GuidanceMix;
  /** What becomes of the predictor. */
  guide?(values: SettingValues<S>, predictor: Predictor, parts: GuidanceParts): Predictor;

  /** By how much guidance counts at a place: 0 is not computed, 1 is as its scales say. */
  factor?(values: SettingValues<S>, place: GuidancePlace): number;
  /** May its factor be another than 0 and 1? Scales are then inputs of the program. */
  scales?(values: SettingValues<S>): boolean;
  /** Settings that make guidance another one from step to step. */
  changes?(values: SettingValues<S>): readonly string[];
  /** Names of what it remembers from one evaluation to the next. */
  remembers?(values: SettingValues<S>): readonly string[];
  /** Its part of the sentence that describes a run; nothing where it does nothing. */
  describe?(
    values: SettingValues<S>,
    around: { readonly guided: boolean; readonly mixed: boolean },
  ): string | undefined;
}

/** Takes a definition as it is, with the types of its settings. */
export const defineGuidance = <const S extends Settings>(definition: GuidanceDefinition<S>): GuidanceDefinition<S> =>
  definition;

/** What is wrong with a setting that changes how predictions are mixed where none are. Undefined where nothing is. */
export const nothingToMix = (
  setting: string,
  { mixing, scalesOpen, maxCfgScale }: Pick<Circumstances, "mixing" | "scalesOpen" | "maxCfgScale">,
): string | undefined => {
  if (mixing === 0 && maxCfgScale !== undefined)
    return `${setting} changes how two predictions are mixed, but this student is told the scale and predicts once; leave it out`;
  // Asked for by a scale of 1, nothing is wrong: that is one end of a series of scales.
  return mixing === 0 && scalesOpen
    ? `${setting} changes what classifier-free guidance or autoguidance add, but both are off here; give one of them a scale`
    : undefined;
};
