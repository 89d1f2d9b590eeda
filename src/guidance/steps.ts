import { usualValue, withUsual } from "../setting.ts";
import type { GuidanceDefinition, GuidancePlace } from "./guidance.ts";
import { guidanceSettings, guidances, isOn, type SettledGuidance, scaleIn } from "./guidances.ts";
import { scaleAt } from "./kinds/schedule.ts";

/** Guidances whose scales change from step to step. */
const scheduled = (values: SettledGuidance): GuidanceDefinition[] =>
  guidances.some((guidance) => guidance.scales?.(values))
    ? guidances.filter((guidance) => guidance.scale !== undefined && isOn(guidance, values))
    : [];

/** Names of their scales, which are inputs of the program. */
export const scheduledScales = (values: SettledGuidance): string[] => scheduled(values).map(({ scale }) => scale!);

/** These scales at a place; undefined where no guidance is computed. */
export function scalesAt(values: SettledGuidance, place: GuidancePlace): Readonly<Record<string, number>> | undefined {
  const factor = guidances.reduce((product, guidance) => product * (guidance.factor?.(values, place) ?? 1), 1);
  if (factor === 0) return undefined;
  return Object.fromEntries(
    scheduled(values).map(({ scale: name, settings }) => {
      const off = usualValue(settings[name!]!) as number;
      return [name!, scaleAt(scaleIn(values, name!), off, factor)];
    }),
  );
}

/** The same with everything off that guides; what else holds, stays. */
export function withoutGuidance(values: SettledGuidance): SettledGuidance {
  const kept = guidances.filter(({ always }) => always).flatMap(({ settings }) => Object.keys(settings));
  return withUsual(
    guidanceSettings,
    Object.fromEntries(Object.entries(values).filter(([name]) => kept.includes(name))),
  );
}
