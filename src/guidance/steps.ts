import { withUsual } from "../setting.ts";
import type { GuidancePlace } from "./guidance.ts";
import { guidanceSettings, guidances, isOn, type SettledGuidance } from "./guidances.ts";
import { scaleAt } from "./schedule.ts";

/** Names of the scales that change from step to step, which are therefore inputs of the program. */
export const scheduledScales = (values: SettledGuidance): string[] =>
  guidances.some((guidance) => guidance.scales?.(values))
    ? guidances.flatMap((guidance) => (guidance.scale !== undefined && isOn(guidance, values) ? [guidance.scale] : []))
    : [];

/** The scheduled scales at a place; undefined where no guidance is computed. */
export function scalesAt(values: SettledGuidance, place: GuidancePlace): Readonly<Record<string, number>> | undefined {
  const factor = guidances.reduce((product, guidance) => product * (guidance.factor?.(values, place) ?? 1), 1);
  if (factor === 0) return undefined;
  const scaled = (name: string): number => {
    const { [name]: off } = withUsual(guidanceSettings, {}) as Readonly<Record<string, unknown>>;
    return scaleAt((values as Readonly<Record<string, unknown>>)[name] as number, off as number, factor);
  };
  return Object.fromEntries(scheduledScales(values).map((name) => [name, scaled(name)]));
}

/** The same with everything off that guides; what else holds, stays. */
export const withoutGuidance = (values: SettledGuidance): SettledGuidance => {
  const kept = guidances.filter(({ always }) => always).flatMap(({ settings }) => Object.keys(settings));
  return withUsual(
    guidanceSettings,
    Object.fromEntries(Object.entries(values).filter(([name]) => kept.includes(name))),
  );
};
