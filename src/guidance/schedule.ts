import { UsageError } from "../errors.ts";

export const scheduleNames = ["constant", "linear", "cosine"] as const;

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

/** Throws UsageError unless the schedule is one of the names, or a list of finite factors. */
export function checkSchedule(schedule: ScaleSchedule): void {
  if (typeof schedule === "string") return;
  if (schedule.length === 0 || !schedule.every(Number.isFinite))
    throw new UsageError(
      `guidance schedule: expected at least one factor, all of them finite numbers, but the list is [${schedule.join(", ")}]`,
    );
}
