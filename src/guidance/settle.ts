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
  const [wrong] = problemsIn(guidanceSettings, asked);
  if (wrong) throw new UsageError(`${wrong.name} ${wrong.problem}`);
  const given: Values = definedOf(asked);
  let settled: Values = {};
  let mixing = 0;
  const scalesOpen = !guidances.some(({ mixes, scale }) => mixes && scale !== undefined && scale in given);
  for (const guidance of guidances) {
    const around = (now: Values): Circumstances => ({
      ...facts,
      mixing,
      scalesOpen: record !== undefined && scalesOpen,
      isOn: (name) => isSettingOn({ ...settled, ...now }, name),
    });
    const values = settleOne(guidance, given, record, around);
    settled = { ...settled, ...values };
    if (guidance.mixes && isOn(guidance, values as SettledGuidance)) mixing++;
  }
  checkExclusions(settled);
  return settled as SettledGuidance;
}

/** The values of one guidance: with those of the record, or without where they cannot be had. */
function settleOne(
  guidance: GuidanceDefinition,
  given: Values,
  record: Values | undefined,
  around: (now: Values) => Circumstances,
): Values {
  const { settings, recorded = {} } = guidance;
  const own = only(settings, given);
  let problem: string | undefined;
  for (const from of record ? [only({ ...settings, ...recorded }, record), {}] : [undefined]) {
    const usual = from && (guidance.usual ? guidance.usual(own, from, around(own)) : from);
    const values = withUsual(settings, { ...only(settings, usual ?? {}), ...own });
    problem = guidance.problem?.(values, around(values));
    if (problem === undefined) return values;
  }
  throw new UsageError(problem!);
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
export const neededReads = (asked: Guidance): Reads | undefined =>
  guidances.map(({ reads }) => reads?.(asked)).find((reads) => reads !== undefined);

/** Guidance from a record, which may leave out what is usual. Throws UsageError for settings that there are not, or out of range. */
export function readGuidance(json: Values): SettledGuidance {
  const [wrong] = problemsIn(guidanceSettings, json);
  if (wrong) throw new UsageError(`${wrong.name} ${wrong.problem}`);
  return withUsual(guidanceSettings, json);
}
