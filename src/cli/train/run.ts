import { join, resolve } from "node:path";
import { existingRecord, recordToSave } from "../../checkpoint/model-folder.ts";
import { checkpointFolder } from "../../checkpoint/run-folder.ts";
import type { ModelRecord } from "../../checkpoint/schema.ts";
import { type Dataset, requireClasses } from "../../data/dataset.ts";
import { UsageError } from "../../errors.ts";
import { lockFolder } from "../../files/lock.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { StartingModel } from "../../recipes/fine-tuning.ts";
import { choiceProblem } from "../../recipes/network.ts";
import { openBackend } from "../../runtime/node.ts";
import type { JsonObject, SavedCheckpoint } from "../../training/checkpoint.ts";
import type { Action, Context } from "../terminal/command.ts";
import { checkOutputFolder } from "../terminal/output.ts";
import { progress } from "../terminal/progress.ts";
import type { ClassifierValues } from "./classifier.ts";
import { fingerprintOf, openTrainingData } from "./data.ts";
import type { DenoiserValues } from "./denoiser.ts";
import { missingDetector } from "./detector/missing.ts";
import { describeJob, estimate, wordOfSlowSteps } from "./dry-run.ts";
import { openStart, restoredStart, storedName, storedStart, valuesOfStart } from "./from.ts";
import { checkpointToGoOn, throwWithAWayOn } from "./going-on.ts";
import { type Beside, classifierJob, denoiserJob, type Job } from "./job.ts";
import { follow, goOn } from "./outputs.ts";
import { checkSameData, mayChange, resumedValues, storedOptions, upgradeOptions } from "./stored-options.ts";

/** `guidestar train denoiser`. */
export const runDenoiser: Action<DenoiserValues> = (values, context) => run("denoiser", values, context, denoiserJob);

/** `guidestar train classifier`. */
export const runClassifier: Action<ClassifierValues> = (values, context) =>
  run("classifier", values, context, classifierJob);

/** Options to one call of the loop, and its events to files and lines. */
async function run<V extends DenoiserValues | ClassifierValues>(
  network: NetworkRole,
  asked: V,
  { terminal, signal, given }: Context,
  jobOf: (values: V, dataset: Dataset, beside: Beside) => Job,
): Promise<void> {
  const { out } = asked;
  await checkOutputFolder("--out", out);
  await using _lock = asked.dryRun ? undefined : await lockFolder(out);
  const store = checkpointFolder(join(out, "checkpoints", network), { upgradeConfig: upgradeOptions });
  const existing = await existingRecord(out);
  const saved = await checkpointToGoOn(store, asked, {
    what: network,
    there: existing?.[network] && network,
    missing: asked.data === undefined ? "--data DIR" : undefined,
  });
  const { values, start } = await begin(network, withLateDecay(asked, given), given, { saved, existing });

  const shown = progress(terminal);
  checkChoice(network, values);
  const dataset = await openTrainingData(values, saved !== undefined && !given.has("data"), existing, shown, signal);
  if (network === "classifier") requireClasses(dataset, 2);
  const fingerprint = fingerprintOf(dataset);
  if (saved) checkSameData(dataset.path, fingerprint, saved.config);
  const job = jobOf(values, dataset, { existing, from: start, resumed: saved !== undefined });
  // What could not be saved is said now, not after the first hour.
  await recordToSave(out, job.model({}, {}));

  await using backend = await openBackend({
    device: values.device,
    ...(values.threads && { threads: values.threads }),
  });
  const description = describeJob(network, job, values);
  if (values.dryRun) {
    terminal.out(`${description}\n`);
    return terminal.out(`${await estimate(job, values, backend, shown, signal)}\n`);
  }
  shown.say(description);
  const slow = wordOfSlowSteps(job, values);
  if (slow !== undefined) shown.say(slow);

  const config = {
    ...configOf(saved ? values : { ...values, ...job.settled }, dataset),
    ...(start && { start: storedStart(network, start) }),
    fingerprint,
  };
  const stop = new AbortController();
  const events = job.start({
    backend,
    store,
    ...calendarOf(values),
    config,
    mayChange,
    signal: AbortSignal.any([signal, stop.signal]),
  });
  const { storage, keep } = values;
  const measure = () => missingDetector(values, dataset, backend);
  const run = { backend, terminal, shown, signal, measure, test: dataset.test, ...copiesOf(values, stop) };
  await follow(events, { network, out, storage, keep, dataset: job.dataset, job, ...run }).catch((error) =>
    throwWithAWayOn(error, goOn(`train ${network}`, out), { ...values, ...job.settled }, store),
  );
}

/** Where it goes on, when it writes checkpoints and draws sheets. */
const calendarOf = (values: DenoiserValues | ClassifierValues) => ({
  ...(values.fromStep !== undefined && { fromStep: values.fromStep }),
  ...{ checkpointEvery: values.checkpointEvery, checkpointMinutes: values.checkpointMinutes },
  ...("sampleEvery" in values && { sampleEvery: values.sampleEvery, sampleMinutes: values.sampleMinutes }),
});

/** Options of a run until it is good: its rate falls late, unless another way is asked for, which the recipe refuses. */
const withLateDecay = <V extends DenoiserValues | ClassifierValues>(values: V, given: ReadonlySet<string>): V =>
  "until" in values && values.until && !given.has("decay") ? { ...values, decay: "late" } : values;

/** The options of the run, and the model that it begins with: those of its checkpoint where it goes on. */
async function begin<V extends DenoiserValues | ClassifierValues>(
  network: NetworkRole,
  asked: V,
  given: ReadonlySet<string>,
  { saved, existing }: { saved: SavedCheckpoint | undefined; existing: ModelRecord | undefined },
): Promise<{ readonly values: V; readonly start: StartingModel | undefined }> {
  const named = asked.from === undefined ? asked : { ...asked, from: await storedName(asked.from) };
  if (saved) {
    const stored = saved.config.start as JsonObject | undefined;
    return { values: resumedValues(named, given, saved.config), start: stored && restoredStart(network, stored) };
  }
  if (named.from === undefined) return { values: named, start: undefined };
  const start = await openStart(network, asked.from!, asked.out);
  return { values: valuesOfStart(named, start, existing !== undefined), start };
}

function checkChoice(network: NetworkRole, values: DenoiserValues | ClassifierValues): void {
  const problem = choiceProblem(network, values);
  if (problem) throw new UsageError(`--${problem}`);
}

/** How copies of training images are looked for, and what ends the run where that is asked for. */
const copiesOf = (values: DenoiserValues | ClassifierValues, stop: AbortController) =>
  "stopWhenCopying" in values
    ? { detector: values.detector, stopCopying: values.stopWhenCopying ? stop : undefined }
    : {};

const configOf = (values: object, { path }: Dataset): JsonObject => storedOptions({ ...values, data: resolve(path) });
