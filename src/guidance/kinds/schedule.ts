import { custom } from "../../setting.ts";
import { defineGuidance } from "../guidance.ts";

const scheduleNames = ["constant", "linear", "cosine"] as const;

/**
 * How guidance grows over the steps of a sampler, as factors of what its scale adds. `linear` and `cosine` grow from 0 at the first step to
 * 2 at the last; their mean is 1, so that the same scale means the same guidance in all. A list is a curve through its factors, evenly
 * spread over the steps; one of a factor for each step is taken as it is.
 *
 * Section 4, Wang et al. 2024, "Analysis of classifier-free guidance weight schedulers", who divide by the mean in the same way.
 */
export type ScaleSchedule = (typeof scheduleNames)[number] | readonly number[];

/** The factor at step 1 ... steps. */
export function factorAt(schedule: ScaleSchedule, step: number, steps: number): number {
  const time = steps > 1 ? (step - 1) / (steps - 1) : 1;
  if (schedule === "constant") return 1;
  if (schedule === "linear") return 2 * time;
  if (schedule === "cosine") return 1 - Math.cos(Math.PI * time);
  const place = time * (schedule.length - 1);
  const before = Math.min(Math.floor(place), schedule.length - 1);
  const after = Math.min(before + 1, schedule.length - 1);
  return schedule[before]! + (place - before) * (schedule[after]! - schedule[before]!);
}

/** The scale at a step: `off` where the factor is 0, the scale itself where it is 1. */
export const scaleAt = (scale: number, off: number, factor: number): number => off + factor * (scale - off);

/** A list of factors, or what is no schedule, of a text. */
function read(text: string): unknown {
  const name = scheduleNames.find((known) => known === text);
  return name ?? text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
}

export const scheduleGuidance = defineGuidance({
  settings: {
    /** How all scales grow over the steps; `constant` by default. Where a factor is 0, guidance is not computed. */
    guidanceSchedule: custom<ScaleSchedule, { off: ScaleSchedule; cost: "value"; formerly: string }>(
      {
        help: `growth of all scales over the steps: ${scheduleNames.join(", ")}, or factors of what they add`,
        placeholder: "name|f,f,...",
        expected: `${scheduleNames.join(", ")} or a list of at least one factor, all finite, as 0,1,2,`,
        accepts: (value): value is ScaleSchedule =>
          Array.isArray(value)
            ? value.length > 0 && value.every(Number.isFinite)
            : scheduleNames.some((name) => name === value),
        read,
      },
      { off: "constant", cost: "value", formerly: "schedule" },
    ),
  },
  factor: ({ guidanceSchedule }, { step, steps }) => factorAt(guidanceSchedule, step, steps),
  scales: ({ guidanceSchedule }) => guidanceSchedule !== "constant",
  changes: ({ guidanceSchedule }) => (guidanceSchedule === "constant" ? [] : ["guidanceSchedule"]),
  describe({ guidanceSchedule: schedule }, { guided }) {
    if (!guided || schedule === "constant") return undefined;
    return typeof schedule === "string" ? `${schedule} schedule` : `factors ${schedule.join(", ")}`;
  },
});
