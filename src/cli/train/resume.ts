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
export function resumedValues<V extends Readonly<Record<string, unknown>>>(
  values: V,
  given: ReadonlySet<string>,
  stored: JsonObject,
): V {
  const asked = values as Readonly<Record<string, unknown>>;
  const decided = Object.keys(values).filter((key) => !(given.has(key) && freeWhenResuming.includes(key)));
  for (const key of decided)
    if (given.has(key) && asked[key] !== stored[key])
      throw new UsageError(
        `${flagOf(key)} was ${stored[key] ?? "left open"} when this run began, and is ${asked[key]} now; leave it out to go on, or train into a new folder`,
      );
  return { ...values, ...Object.fromEntries(decided.map((key) => [key, stored[key] ?? asked[key]])) };
}

/** Throws ModelError unless the data is what the run began with. */
export function checkSameData(path: string, fingerprint: string, stored: JsonObject): void {
  if (stored.fingerprint !== fingerprint)
    throw new ModelError(
      `${path}: these are not the images that this run began with; give them by --data, or train into a new folder`,
    );
}
