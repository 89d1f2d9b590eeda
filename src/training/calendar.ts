import type { PaceOptions, Pacer } from "./pace.ts";

/** When a run writes checkpoints, takes snapshots of its averages and asks for sheets of samples. */
export interface CalendarOptions {
  /** Updates between checkpoints; 1000 by default, and always after the last. */
  checkpointEvery?: number;
  /** Minutes between checkpoints, where so many updates take longer; 10 by default, 0 for no limit. */
  checkpointMinutes?: number;
  /** With `powerEma`: updates between the snapshots of its averages; by default a fortieth of the run, and always the last. */
  snapshotEvery?: number;
  /** Updates between `samples` events; none by default. */
  sampleEvery?: number;
  /** Minutes between `samples` events, beside those of `sampleEvery`; none by default. The first comes after a quarter of that. */
  sampleMinutes?: number;
}

/** What is to be done after a step. */
export function calendar(options: CalendarOptions & PaceOptions & { powerEma?: boolean }, pace: Pacer) {
  const { steps, minutes, powerEma = false, checkpointEvery = 1000, sampleEvery = 0, clock } = options;
  const usual = steps !== undefined && minutes === undefined ? Math.max(1, Math.round(steps / snapshots)) : undefined;
  const { snapshotEvery = usual } = options;
  const pause = timer(options.checkpointMinutes ?? 10, 1, clock);
  const sheet = timer(options.sampleMinutes ?? 0, firstSheet, clock);
  const every = (count: number, step: number): boolean => step % count === 0 || pace.isOver(step);
  let taken = 0;
  return {
    snapshot(step: number, progress: number): boolean {
      if (!powerEma) return false;
      if (snapshotEvery !== undefined) return every(snapshotEvery, step);
      const before = taken;
      taken = Math.floor(progress * snapshots);
      return taken > before || pace.isOver(step);
    },
    checkpoint: (step: number): boolean => every(checkpointEvery, step) || pause.isOver(),
    saved: pause.begin,
    samples(step: number): boolean {
      const byTime = sheet.isOver();
      if (byTime) sheet.begin();
      return byTime || (sampleEvery > 0 && step % sampleEvery === 0);
    },
  };
}

/** Snapshots of the averages in a run. */
const snapshots = 40;
/** Share of the time between sheets after which the first comes. */
const firstSheet = 0.25;

/** Tells when so many minutes are over since it began; the first time after a share of them. Never with 0 minutes. */
function timer(minutes: number, first: number, clock = () => performance.now()) {
  let began = clock() - 60_000 * minutes * (1 - first);
  return {
    begin(): void {
      began = clock();
    },
    isOver: (): boolean => minutes > 0 && clock() - began >= 60_000 * minutes,
  };
}
