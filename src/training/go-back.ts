import { ModelError, RuntimeFailure, UsageError } from "../errors.ts";
import type { Checkpoint, CheckpointStore, KeptCheckpoint } from "./checkpoint.ts";
import type { Weights } from "./step/values.ts";
import { isSane, type Watch } from "./watch.ts";

/*
 * Which checkpoint a run goes on from: the newest that is whole and finite, or the one that is asked for. And which one to go back to when a
 * run was stopped because its loss exploded.
 */

/** A checkpoint that cannot be gone on from, and why; the sentence begins with its path. */
export interface SkippedCheckpoint {
  readonly step: number;
  readonly problem: string;
}

/** A run was stopped, for its loss or its weights left what is sane. Nothing was saved from then on. */
export class TrainingStopped extends RuntimeFailure {
  /** What happened, and which checkpoint is good, without what to do. */
  readonly reason: string;
  /** The newest checkpoint whose tensors are finite and whose loss was sane; none where there is no such one. */
  readonly lastGood: KeptCheckpoint | undefined;
  constructor(reason: string, lastGood?: KeptCheckpoint) {
    const begin = lastGood ? `Go back to it by fromStep: ${lastGood.step}` : "Start again";
    super(`${reason} ${begin}, with a lower learningRate, or a lower maxGradientNorm.`);
    this.reason = reason;
    this.lastGood = lastGood;
  }
}

/** The error for a run that has a `problem` at a step: it looks which checkpoint is good, of those whose weights the `watch` saw doing well. */
export async function stopped(
  step: number,
  problem: string,
  store: CheckpointStore | undefined,
  { steps, sane = steps }: Watch,
): Promise<TrainingStopped> {
  const kept = store ? await keptBy(store) : [];
  const good = await lastGood(kept.filter(({ step }) => step < sane));
  const rescue = good
    ? `The last good checkpoint is ${good.path}.`
    : kept.length > 0
      ? `Of the checkpoints, none is good: ${kept.map(({ step }) => step).join(", ")}.`
      : "There is no checkpoint yet.";
  return new TrainingStopped(`training stopped at step ${step}: ${problem}. ${rescue}`, good);
}

async function lastGood(kept: readonly KeptCheckpoint[]): Promise<KeptCheckpoint | undefined> {
  for (const each of kept) {
    const found = await readWhole(each);
    if ("params" in found && isSane(found.watch)) return each;
  }
  return undefined;
}

/** All that a store keeps, the newest first. */
async function keptBy(store: CheckpointStore): Promise<readonly KeptCheckpoint[]> {
  if (store.all) return store.all();
  const latest = await store.latest();
  return latest ? [latest] : [];
}

/**
 * Checkpoints that a run may go on from, the newest first: all, or the one of a step.
 *
 * @throws UsageError where there is none of that step
 */
export async function candidates(store: CheckpointStore, fromStep?: number): Promise<readonly KeptCheckpoint[]> {
  const kept = await keptBy(store);
  if (fromStep === undefined) return kept;
  const wanted = kept.filter(({ step }) => step === fromStep);
  if (wanted.length > 0) return wanted;
  const steps = kept.map(({ step }) => step);
  throw new UsageError(
    `there is no checkpoint of step ${fromStep}; there ${steps.length > 0 ? `are those of ${steps.join(", ")}` : "are none"}`,
  );
}

/**
 * The checkpoint to go on from, and those that had to be passed over: damaged, or with numbers that are not finite. Nothing where there is
 * none.
 *
 * @throws ModelError where there are some, but none that can be gone on from; UsageError as `candidates`
 */
export async function openNewest(
  store: CheckpointStore,
  fromStep?: number,
): Promise<{ saved: KeptCheckpoint; checkpoint: Checkpoint; skipped: readonly SkippedCheckpoint[] } | undefined> {
  const skipped: SkippedCheckpoint[] = [];
  for (const saved of await candidates(store, fromStep)) {
    const found = await readWhole(saved);
    if ("params" in found) return { saved, checkpoint: found, skipped };
    skipped.push({ step: saved.step, problem: found.problem });
  }
  if (skipped.length === 0) return undefined;
  throw new ModelError(
    `${skipped[0]!.problem}; ${fromStep === undefined ? "no older checkpoint is whole either: train into a new folder" : "choose another step"}`,
  );
}

async function readWhole(saved: KeptCheckpoint): Promise<Checkpoint | { readonly problem: string }> {
  try {
    const checkpoint = await saved.read();
    const { params, m, v, ema, averages } = checkpoint;
    const where = notFinite({ params, m, v, ema, ...averages });
    return where === undefined ? checkpoint : { problem: `${saved.path}: ${where} holds numbers that are not finite` };
  } catch (error) {
    if (error instanceof ModelError) return { problem: error.message };
    throw error;
  }
}

/** The first tensor, as GROUP/KEY, with a number that is not finite. */
export function notFinite(groups: Readonly<Record<string, Weights | undefined>>): string | undefined {
  for (const [group, weights = {}] of Object.entries(groups))
    for (const [key, { data }] of Object.entries(weights))
      for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return `${group}/${key}`;
  return undefined;
}
