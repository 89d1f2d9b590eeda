import { type OpenValues, type Settings, type SettingValues, usualValue } from "../setting.ts";
import type { GuidanceDefinition, GuidanceNetwork } from "./guidance.ts";
import { autoguidanceGuidance } from "./kinds/autoguidance.ts";
import { classifierGuidance } from "./kinds/classifier.ts";
import { classifierFreeGuidance } from "./kinds/classifier-free.ts";
import { intervalGuidance } from "./kinds/interval.ts";
import { projectedGuidance } from "./kinds/projected.ts";
import { rescaledGuidance } from "./kinds/rescaled.ts";
import { scheduleGuidance } from "./kinds/schedule.ts";
import { thresholdGuidance } from "./kinds/threshold.ts";
import { unconditionalGuidance } from "./kinds/unconditional.ts";

/**
 * The library's guidances, in the order in which they map predictors: classifier-free guidance, autoguidance, how both mix their
 * predictions, the limit of the image's range, the classifier's shift; then where they count.
 */
const bundled = [
  unconditionalGuidance,
  classifierFreeGuidance,
  autoguidanceGuidance,
  projectedGuidance,
  rescaledGuidance,
  thresholdGuidance,
  classifierGuidance,
  intervalGuidance,
  scheduleGuidance,
] as const;
export const guidances: readonly GuidanceDefinition[] = bundled;

type AllOf<S> = (S extends unknown ? (each: S) => void : never) extends (all: infer A) => void ? A : never;
type BundledSettings = AllOf<(typeof bundled)[number]["settings"]>;

/** Every setting of guidance, by its name in options, records and flags. */
export const guidanceSettings = Object.assign({}, ...bundled.map(({ settings }) => settings)) as BundledSettings;

/** How strongly, and by what, sampling is steered towards the labels. What is left out is the model's own, else usual. */
export type Guidance = OpenValues<BundledSettings>;

/** The same with every choice made; plain JSON. Of what may be missing, missing is off. */
export type SettledGuidance = SettingValues<BundledSettings>;

/** What a model's record says of guidance: any of its settings, and those of the record alone. */
export const recordedSettings: Settings = Object.assign(
  {},
  ...guidances.map(({ settings, recorded }) => ({ ...settings, ...recorded })),
);

/** The setting whose value students are told. */
export const toldSetting: string = guidances.find(({ told }) => told)!.scale!;

/** A scale by its name. */
export const scaleIn = (values: SettledGuidance, name: string): number =>
  (values as Readonly<Record<string, unknown>>)[name] as number;

/** Is this guidance on? One without a scale never is, for it adds nothing by itself. */
export function isOn(guidance: GuidanceDefinition, values: SettledGuidance): boolean {
  if (guidance.on) return guidance.on(values);
  const { scale, settings } = guidance;
  return scale !== undefined && values[scale as keyof SettledGuidance] !== usualValue(settings[scale]!);
}

/** Does any guidance add something to the denoiser's prediction? */
export const isGuided = (values: SettledGuidance): boolean => guidances.some((guidance) => isOn(guidance, values));

/** Is a network asked beside the denoiser? */
export const asks = (network: GuidanceNetwork, values: SettledGuidance): boolean =>
  guidances.some((guidance) => guidance.network === network && isOn(guidance, values));

/** Names of what guidance remembers from one evaluation to the next. */
export const guidanceMemory = (values: SettledGuidance): string[] =>
  guidances.flatMap((guidance) => guidance.remembers?.(values) ?? []);

/** Settings that make guidance another one from step to step. */
export const changingGuidance = (values: SettledGuidance): string[] =>
  guidances.flatMap((guidance) => guidance.changes?.(values) ?? []);

/** "classifier-free 2, classifier 1 at the mean, in noise 0.2 to 5" */
export function describeGuidance(values: SettledGuidance): string {
  const guided = isGuided(values);
  const mixed = guidances.some((guidance) => guidance.mixes && isOn(guidance, values));
  return guidances.flatMap((guidance) => guidance.describe?.(values, { guided, mixed }) ?? []).join(", ");
}
