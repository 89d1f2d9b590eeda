import { counted } from "../../counted.ts";
import { ModelError, RuntimeFailure, UsageError, WriteFailure } from "../../errors.ts";
import type { CheckpointStore, SavedCheckpoint } from "../../training/checkpoint.ts";
import { candidates, TrainingStopped } from "../../training/go-back.ts";

/** What says whether a run begins or goes on. */
export interface Beginning {
  readonly out: string;
  readonly resume: boolean;
  readonly fromStep?: number | undefined;
}

/** What a run makes, and what it takes to begin. */
export interface Purpose {
  /** "denoiser", "student". */
  readonly what: string;
  /** What the folder holds already; undefined where it holds none. */
  readonly there: string | undefined;
  /** What is missing to begin, as "--data DIR"; undefined where it is given. */
  readonly missing: string | undefined;
}

/**
 * The checkpoint that a run goes on from; undefined where it begins.
 *
 * @throws UsageError where files of the folder would be lost, or without --resume a step is named
 * @throws ModelError where there is nothing to go on from, nor what it takes to begin
 */
export async function checkpointToGoOn(
  store: CheckpointStore,
  { out, resume, fromStep }: Beginning,
  { what, there, missing }: Purpose,
): Promise<SavedCheckpoint | undefined> {
  if (fromStep !== undefined) {
    if (!resume) throw new UsageError("--from-step is for --resume; leave it out, or give both");
    await candidates(store, fromStep);
  }
  const saved = await store.latest(fromStep);
  if (!resume && (saved || there !== undefined))
    throw new UsageError(
      `${out} already holds a ${there ?? what}${saved ? `, trained for ${counted(saved.step, "step")}: go on with --resume, or` : ";"} choose another --out`,
    );
  if (!resume || saved) return saved;
  const none = `${out}: there is no checkpoint of a ${what} to go on from`;
  if (there !== undefined) throw new ModelError(`${none}, only a finished ${there}; to begin, choose another --out`);
  if (missing !== undefined)
    throw new ModelError(`${none} yet, and nothing is lost by beginning anew: give ${missing} as well`);
  return undefined;
}

/**
 * Throws the error that ended a run, with how it goes on where its loss exploded, or the disk did not take its files.
 *
 * @param again the command that goes on
 */
export async function throwWithAWayOn(
  error: unknown,
  again: string,
  values: Rates,
  store: CheckpointStore,
): Promise<never> {
  if (error instanceof TrainingStopped) throw wayOut(error, again, values);
  if (!(error instanceof WriteFailure)) throw error;
  const newest = await store.latest().catch(() => undefined);
  throw newest ? new WriteFailure(`${error.message}; from step ${newest.step} it goes on by: ${again}`) : error;
}

interface Rates {
  readonly learningRate: number;
  readonly maxGradientNorm: number;
}

/** The error of a run whose loss exploded, with the command that saves it: a tenth of the learning rate, and clipping where there was none. */
function wayOut({ reason, lastGood }: TrainingStopped, again: string, { learningRate, maxGradientNorm }: Rates) {
  const rate = Number((learningRate / 10).toPrecision(3));
  const lower = `--learning-rate ${rate}${maxGradientNorm === 0 ? " --max-gradient-norm 1" : ""}`;
  if (!lastGood) return new RuntimeFailure(`${reason} Start again in another folder, with ${lower}.`);
  return new RuntimeFailure(
    `${reason} To go back to it with a lower rate: ${again} --from-step ${lastGood.step} ${lower}`,
  );
}
