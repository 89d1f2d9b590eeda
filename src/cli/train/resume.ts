import { ModelError, UsageError } from "../../errors.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import { freeWhenResuming } from "../commands/train-options.ts";
import { flagOf } from "../option.ts";

/** Options as a checkpoint keeps them. */
export const storedOptions = (values: object): JsonObject =>
  JSON.parse(JSON.stringify(values, (key, value) => (["resume", "dryRun", "out"].includes(key) ? undefined : value)));

/** What the model's record keeps of them: those that decide what is computed. */
export const trainingRecord = ({ fingerprint: _, ...options }: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(options).filter(([key]) => key === "steps" || !freeWhenResuming.includes(key)));

/**
 * The options of a run that goes on: those that it was started with, and those given now where they may change.
 *
 * @throws UsageError where another one was given that would change what the run computes
 */
export function resumedValues<V extends object>(values: V, given: ReadonlySet<string>, stored: JsonObject): V {
  const kept = Object.keys(values).filter(
    (key) => Object.hasOwn(stored, key) && !(given.has(key) && freeWhenResuming.includes(key)),
  );
  for (const key of kept) {
    const now = (values as Record<string, unknown>)[key];
    if (given.has(key) && JSON.stringify(now) !== JSON.stringify(stored[key]))
      throw new UsageError(
        `${flagOf(key)} was ${stored[key]} when this run began, and is ${now} now; leave it out to go on, or train into a new folder`,
      );
  }
  return { ...values, ...Object.fromEntries(kept.map((key) => [key, stored[key]])) };
}

/** Throws ModelError unless the data is what the run began with. */
export function checkSameData(path: string, fingerprint: string, stored: JsonObject): void {
  if (stored.fingerprint !== fingerprint)
    throw new ModelError(
      `${path}: these are not the images that this run began with; give them by --data, or train into a new folder`,
    );
}
