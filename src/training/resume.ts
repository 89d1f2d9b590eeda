import { ModelError } from "../errors.ts";
import type { Json, JsonObject } from "./checkpoint.ts";

/*
 * What may change when a run is resumed. A run's config is compared, key by key, with that of its checkpoint. How it learns may change, so
 * that a run can be saved whose loss exploded: such changes are recorded, with their step. What the network is, its noise and its images
 * may not; nor may options that are not known here, unless whoever starts the run names them.
 */

/** Options of how a run learns: they change neither the network's shape, nor its noise, nor the images. */
export const changeable = [
  ...["learningRate", "warmUpSteps", "decay", "finalLearningRate", "weightDecay", "maxGradientNorm", "emaRate"],
  ...[
    "batchSize",
    "microBatch",
    "flip",
    "crop",
    "classBalance",
    "labelDropout",
    "lossWeight",
    "vlbWeight",
    "immiscible",
    "steps",
    "minutes",
  ],
] as const satisfies readonly string[];

/** Changes of these are not recorded: the record has the run's length anyway, and micro-batches change nothing that is computed. */
const unrecorded: readonly string[] = ["steps", "minutes", "microBatch"];

/** The key of the record of changes. */
const historyKey = "changes";

/** An option that is not what it was when the run began. */
export interface Change {
  readonly key: string;
  /** undefined where there was, or is, no such option. */
  readonly before: Json | undefined;
  readonly now: Json | undefined;
}

const changesBetween = (before: JsonObject, now: JsonObject): Change[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => key !== historyKey)
    .map((key) => ({ key, before: before[key], now: now[key] }))
    // A switch that came after a run began was off in it.
    .filter(({ before = false, now = false }) => JSON.stringify(before) !== JSON.stringify(now));

/** Whether there is a null label is a matter of the network's shape; how often it is trained is not. */
const changesShape = ({ key, before, now }: Change): boolean =>
  key === "labelDropout" && Number(before ?? 0) > 0 !== Number(now ?? 0) > 0;

const isChangeable = (change: Change): boolean =>
  (changeable as readonly string[]).includes(change.key) && !changesShape(change);

/** The changes that a run which goes on may not have: all but those of `changeable`, and of the keys in `mayChange`. */
export const refusedChanges = (before: JsonObject, now: JsonObject, mayChange: readonly string[] = []): Change[] =>
  changesBetween(before, now).filter((change) => !isChangeable(change) && !mayChange.includes(change.key));

/** What the config of a run that goes on with other options keeps of them: `changes`, one entry for each time. */
export function withHistory(
  { step, config: before }: { readonly step: number; readonly config: JsonObject },
  now: JsonObject,
): JsonObject {
  const earlier = (before[historyKey] ?? []) as readonly Json[];
  const changed = changesBetween(before, now).filter((each) => isChangeable(each) && !unrecorded.includes(each.key));
  const entries = changed.map(({ key, before = null, now = null }) => [key, { before, now }] as const);
  const history = [...earlier, ...(entries.length > 0 ? [{ step, ...Object.fromEntries(entries) }] : [])];
  return history.length > 0 ? { ...now, [historyKey]: history } : now;
}

/** Throws ModelError, which names the checkpoint and the options, unless a run with the config `now` may go on from it. */
export function checkResume(
  path: string,
  config: JsonObject,
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
