import { UsageError } from "../errors.ts";
import { definedOf, problemsIn, type Settings, usualValue, withUsual } from "../setting.ts";
import type { Circumstances, GuidanceDefinition, Reads } from "./guidance.ts";
import { type Guidance, guidanceSettings, guidances, isOn, type SettledGuidance } from "./guidances.ts";

type Values = Readonly<Record<string, unknown>>;

/** What is known of the model and the sampler. */
export type Facts = Omit<Circumstances, "isOn" | "mixing" | "scalesOpen">;

/**
 * Makes every choice of guidance that was left open, or leaves off what is not asked for.
 *
 * @param record what the model's record says; what it asks for and this run cannot serve is off. Without one, what is left open is off.
 * @throws UsageError for settings that are out of range, that exclude each other, or that model and sampler cannot serve
 */
export function settleGuidance(asked: Guidance, facts: Facts, record?: Values): SettledGuidance {
  checkRanges(asked);
  const given: Values = definedOf(asked);
  const asksScale = guidances.some(({ mixes, scale }) => mixes && scale !== undefined && scale in given);
  let settled: Values = {};
  let mixing = 0;
  for (const guidance of guidances) {
    const before = settled;
    const isBeforeOn = (name: string): boolean => isSettingOn(before, name);
    const around = { ...facts, mixing, scalesOpen: record !== undefined && !asksScale, isOn: isBeforeOn };
    const values = settleOne(guidance, given, record, around);
    settled = { ...settled, ...values };
    const isTold = guidance.told === true && facts.maxCfgScale !== undefined;
    if (guidance.mixes && !isTold && isOn(guidance, values as SettledGuidance)) mixing++;
  }
  checkExclusions(settled);
  return settled as SettledGuidance;
}

/** The values of one guidance: with those of the record, or without where they cannot be had. */
function settleOne(
  { settings, recorded, usual, problem }: GuidanceDefinition,
  given: Values,
  record: Values | undefined,
  around: Circumstances,
): Values {
  const own = only(settings, given);
  const completed = (from: Values): Values =>
    withUsual(settings, { ...only(settings, usual?.(own, from, around) ?? from), ...own });
  const ways = record
    ? [completed(only({ ...settings, ...recorded }, record)), completed({})]
    : [withUsual(settings, own)];
  const problems = ways.map((values) => problem?.(values, around));
  const found = problems.indexOf(undefined);
  if (found < 0) throw new UsageError(problems.at(-1)!);
  return ways[found]!;
}

function checkRanges(values: Values): void {
  const [wrong] = problemsIn(guidanceSettings, values);
  if (wrong) throw new UsageError(`${wrong.name} ${wrong.problem}`);
}

const only = (settings: Settings, values: Values): Values =>
  Object.fromEntries(Object.entries(definedOf(values)).filter(([name]) => Object.hasOwn(settings, name)));

function isSettingOn(values: Values, name: string): boolean {
  const setting = (guidanceSettings as Settings)[name];
  return setting !== undefined && values[name] !== undefined && values[name] !== usualValue(setting);
}

function checkExclusions(settled: Values): void {
  for (const { excludes } of guidances)
    for (const [name, why] of Object.entries(excludes?.(settled) ?? {}))
      if (isSettingOn(settled, name)) throw new UsageError(why);
}

/** What a sampler must read to follow the guidance that is asked for, where that decides which one is chosen. */
export const neededReads = (asked: Guidance, record: Values = {}): Reads | undefined =>
  guidances.map(({ reads }) => reads?.({ ...record, ...definedOf(asked) })).find((reads) => reads !== undefined);

/** Guidance from a record, which may leave out what is usual. Throws UsageError for settings that there are not, or out of range. */
export function readGuidance(json: Values): SettledGuidance {
  checkRanges(json);
  return withUsual(guidanceSettings, json);
}
