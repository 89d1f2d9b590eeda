import { ModelError } from "../errors.ts";
import type { Json, JsonObject } from "./checkpoint.ts";

/*
 * What may change when a run is resumed. A run's config is compared, key by key, with that of its checkpoint; whoever starts the run
 * names the keys that may differ. All others, also ones that are new or missing, stay what they were.
 */

/** An option that is not what it was when the run began. */
export interface Change {
  readonly key: string;
  /** undefined where there was, or is, no such option. */
  readonly before: Json | undefined;
  readonly now: Json | undefined;
}

/** The changes that a run which goes on may not have: all but those of the keys in `mayChange`. */
export const refusedChanges = (before: JsonObject, now: JsonObject, mayChange: readonly string[] = []): Change[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .map((key) => ({ key, before: before[key], now: now[key] }))
    .filter(({ key, before, now }) => !mayChange.includes(key) && JSON.stringify(before) !== JSON.stringify(now));

/** Throws ModelError, which names the checkpoint and the options, unless a run with the config `now` may go on from it. */
export function checkResume(
  { path, config }: { readonly path: string; readonly config: JsonObject },
  now: JsonObject,
  mayChange: readonly string[] | undefined,
): void {
  const refused = refusedChanges(config, now, mayChange);
  if (refused.length === 0) return;
  const changes = refused.map(
    ({ key, before, now }) => `${key} was ${JSON.stringify(before)}, now ${JSON.stringify(now)}`,
  );
  throw new ModelError(
    `${path}: this run was started with other options: ${changes.join("; ")}. Resume with the same, or train into a new folder.`,
  );
}
