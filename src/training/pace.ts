import { UsageError } from "../errors.ts";
import { lateFrom } from "./learning-rate.ts";

/*
 * How long a run is, and how far it is. The learning rate follows the share of the run that is done, 0 to 1. Of a run of so many updates that
 * is a function of the update. Of a run of so many minutes it depends on the machine: each update takes its part of what is left, by the
 * speed so far, and the last one ends at 1 exactly. So such a run is a function of its options and of these shares, which its steps report.
 */

/** How long a run is: so many updates, so many minutes, or both, of which the first to end ends it. */
export interface Budget {
  /** Updates in all, those of a resumed run included. */
  steps?: number | undefined;
  /** Minutes in all, those before a resumed run was stopped included; what else is done between updates counts. */
  minutes?: number | undefined;
}

/** How a budget in minutes is followed. */
export interface PaceOptions extends Budget {
  /** Ends sooner than after `minutes` where the held-out loss stops to fall: see until.ts. Give `decay: "late"`. */
  until?: "good" | undefined;
  /** The time in milliseconds; `performance.now` by default. A clock that stands still for a while keeps that out of `minutes`. */
  clock?: () => number;
  /**
   * Shares of the run that were done after updates, where an earlier run recorded them: with the same ones a budget in minutes gives the same
   * weights again, bit for bit.
   */
  recordedProgress?: (update: number) => number | undefined;
}

/** How far a run is whose budget is in minutes: part of its checkpoints. */
export interface Pace {
  /** Seconds that it has taken, those before it was resumed included. */
  readonly seconds: number;
  /** Share of the run that is done, 0 to 1. */
  readonly progress: number;
  /** Seconds of an update, smoothed, and over how many updates. */
  readonly secondsPerStep: number;
  readonly smoothedOver: number;
  /** The budget that it is a share of. */
  readonly minutes: number;
  /** Seconds after which it ends sooner than that, where it is good. */
  readonly end?: number;
}

/** Follows the pace of a run. */
export interface Pacer {
  /** The share of the run that is done with update number `update`, the next one; 1 for the last one. */
  progressOf(update: number): number;
  /** Begins the last sixth of the run now, unless it is there. Has it just begun? */
  windUp(): boolean;
  /** Is the run over? */
  isOver(step: number): boolean;
  /** To be called after each update. */
  note(): void;
  /** Seconds so far, updates in all as far as is known, and seconds to the end where time is the budget. */
  outlook(step: number): { readonly seconds: number; readonly steps: number; readonly secondsLeft?: number };
  /** For a checkpoint; undefined where the share is a function of the step. */
  state(): Pace | undefined;
}

/** Updates over which the time of one is smoothed. */
const horizon = 200;
/** With less than this many updates left, the next one is the last. */
const lastWithin = 1.5;

/** Throws UsageError for a budget that is none. */
function check({ steps, minutes, until }: PaceOptions): void {
  if (steps === undefined && minutes === undefined)
    throw new UsageError("a run needs an end: give steps, or minutes, or both");
  if (minutes !== undefined && !(minutes > 0 && minutes < Infinity))
    throw new UsageError(`minutes must be a positive number but is ${minutes}`);
  if (until && minutes === undefined)
    throw new UsageError(`a run until it is good needs minutes, after which it ends in any case`);
}

/** The pace of a run that begins, or goes on from `before`. */
export function pacer(options: PaceOptions, before?: Pace): Pacer {
  check(options);
  const { steps = Number.POSITIVE_INFINITY, minutes, clock = () => performance.now(), recordedProgress } = options;
  let { seconds = 0, secondsPerStep = 0, smoothedOver = 0 } = before ?? {};
  // Under another budget the share is another one.
  const same = before?.minutes === minutes;
  let end = same ? before?.end : undefined;
  let limit = end ?? 60 * (minutes ?? Number.POSITIVE_INFINITY);
  let progress = same ? (before?.progress ?? 0) : Math.min(1, seconds / limit);
  let last = clock();

  /** Updates that are left after `step`, as a number that need not be whole. */
  const left = (step: number): number =>
    Math.min(steps - step, smoothedOver > 0 ? (limit - seconds) / secondsPerStep : Number.POSITIVE_INFINITY);
  const byTime = (update: number): number => {
    const remaining = left(update - 1);
    if (remaining < lastWithin) return 1;
    return progress + (1 - progress) / remaining;
  };
  return {
    progressOf(update) {
      if (minutes === undefined) return update / steps;
      progress = recordedProgress?.(update) ?? byTime(update);
      return progress;
    },
    windUp() {
      if (minutes === undefined || progress >= lateFrom) return false;
      end = Math.min(limit, seconds / lateFrom);
      limit = end;
      progress = lateFrom;
      return true;
    },
    isOver: (step) => (minutes === undefined ? step >= steps : progress >= 1),
    note() {
      const now = clock();
      const took = (now - last) / 1000;
      last = now;
      seconds += took;
      smoothedOver = Math.min(smoothedOver + 1, horizon);
      secondsPerStep += (took - secondsPerStep) / smoothedOver;
    },
    outlook: (step) => ({
      seconds,
      steps: minutes === undefined || progress < 1 ? step + Math.max(0, Math.round(left(step))) : step,
      ...(minutes !== undefined && {
        secondsLeft: Math.max(0, Math.min(limit - seconds, left(step) * secondsPerStep)),
      }),
    }),
    state: () =>
      minutes === undefined
        ? undefined
        : { seconds, progress, secondsPerStep, smoothedOver, minutes, ...(end !== undefined && { end }) },
  };
}
