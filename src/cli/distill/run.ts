import { join } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { existingRecord, loadModel, recordToSave } from "../../checkpoint/model-folder.ts";
import { checkpointFolder } from "../../checkpoint/run-folder.ts";
import { counted } from "../../counted.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { lockFolder } from "../../files/lock.ts";
import { countParameters } from "../../nn/module.ts";
import { studentRecipe, studentScale } from "../../recipes/student.ts";
import { openBackend } from "../../runtime/node.ts";
import { trajectorySource } from "../../sampling/trajectories.ts";
import type { JsonObject, SavedCheckpoint } from "../../training/checkpoint.ts";
import { trainConsistency } from "../../training/train.ts";
import type { Action } from "../terminal/command.ts";
import { checkOutputFolder } from "../terminal/output.ts";
import { progress } from "../terminal/progress.ts";
import { storedName } from "../train/from.ts";
import { checkpointToGoOn, throwWithAWayOn } from "../train/going-on.ts";
import { follow, goOn } from "../train/outputs.ts";
import { mayChange, resumedValues, storedOptions } from "../train/stored-options.ts";
import type { DistillValues } from "./command.ts";
import { tuningImages } from "./images.ts";

/** Trajectories that the teacher draws at a time. */
const blockSize = 128;

/** `guidestar distill`. */
export const runDistill: Action<DistillValues> = async (asked, { terminal, signal, given }, name) => {
  const { out } = asked;
  await checkOutputFolder("--out", out);
  await using _lock = await lockFolder(out);
  const store = checkpointFolder(join(out, "checkpoints", "denoiser"));
  if (!asked.resume && name === "")
    throw new UsageError("distill: say of which model, as `guidestar distill digits --out DIR`");
  const existing = await existingRecord(out);
  const saved = await checkpointToGoOn(store, asked, {
    what: "student",
    there: existing?.denoiser && "denoiser",
    missing: name === "" ? "the teacher's name" : undefined,
  });
  if (saved && saved.config.teacher === undefined)
    throw new ModelError(`${out}: the denoiser there is no student; go on with guidestar train denoiser --resume`);
  const values = saved ? resumedValues(asked, given, saved.config) : asked;
  const teacher = await openTeacher(name, saved);

  const shown = progress(terminal);
  const images = await tuningImages(values, given, teacher, saved?.config, { shown, signal });
  const maxCfgScale = images ? undefined : studentScale(teacher, values.maxCfgScale);
  await using backend = await openBackend({
    device: values.device,
    ...(values.threads && { threads: values.threads }),
  });
  const { seed, teacherSteps } = values;
  const source = images
    ? undefined
    : trajectorySource(teacher, { size: blockSize, maxCfgScale, seed, steps: teacherSteps, backend, signal });
  const job = studentRecipe({ ...recipeOptions(values), teacher, source, images: images?.batchAt });
  // What could not be saved is said now, not after the first hour.
  await recordToSave(out, job.model({}, {}));
  shown.say(describe(job, values, teacher, { maxCfgScale, images: images?.dataset.train.count }));
  const config: JsonObject = {
    ...storedOptions(values),
    ...images?.config,
    teacher: { name: await storedName(teacher.source), sha256: teacher.denoiser!.sha256 },
  };
  const { checkpointEvery, checkpointMinutes, sampleEvery, storage } = values;
  const where = { backend, store, checkpointEvery, checkpointMinutes, sampleEvery, signal };
  const { fromStep } = asked;
  const run = { ...job.training, ...where, ...(fromStep !== undefined && { fromStep }), config, mayChange };
  const again = goOn("distill", out);
  const outputs = { network: "denoiser", out, storage, job, again, backend, terminal, shown, signal } as const;
  await follow(trainConsistency(run), outputs).catch((error) => throwWithAWayOn(error, again, values, store));
};

/** What will be trained, on what: two lines. */
function describe(
  { network, training: { steps } }: ReturnType<typeof studentRecipe>,
  { batchSize, uses, minutes }: DistillValues,
  { source }: Model,
  { maxCfgScale, images }: { readonly maxCfgScale: number | undefined; readonly images: number | undefined },
): string {
  const parameters = countParameters(network).toLocaleString("en-US");
  const guidance = maxCfgScale === undefined ? "no guidance" : `guidance from 1 to ${maxCfgScale}`;
  const length = [
    ...(steps === undefined ? [] : [counted(steps, "step")]),
    ...(minutes === undefined ? [] : [`at most ${counted(minutes, "minute")}`]),
  ].join(", ");
  const [each, from] =
    images === undefined
      ? ["place", `of trajectories, which the teacher draws ${blockSize} at a time; ${counted(uses, "place")} of each`]
      : ["image", `with noise at two levels, of ${counted(images, "image")}`];
  return (
    `student: ${parameters} parameters; ${guidance}; teacher ${source}\n` +
    `training: ${length}, ${counted(batchSize, each)} a step ${from}`
  );
}

/** The options that the recipe takes. */
function recipeOptions({ microBatch, warmUpSteps, steps, minutes, ...values }: DistillValues) {
  const { maxCfgScale, batchSize, uses, seed, learningRate, decay, maxGradientNorm, emaRate } = values;
  return {
    ...{ maxCfgScale, batchSize, uses, seed, learningRate, decay, maxGradientNorm, emaRate },
    ...(steps !== undefined && { steps }),
    ...(minutes !== undefined && { minutes }),
    ...(microBatch !== undefined && { microBatch }),
    ...(warmUpSteps !== undefined && { warmUpSteps }),
  };
}

/** The teacher; of a run that goes on, the one that it began with. */
async function openTeacher(name: string, saved: SavedCheckpoint | undefined): Promise<Model> {
  const before = saved?.config.teacher as { readonly name: string; readonly sha256: string } | undefined;
  const model = await loadModel(name || before?.name || "");
  if (before && model.denoiser?.sha256 !== before.sha256)
    throw new ModelError(
      `${model.source}: this is not the teacher that the run began with, ${before.name} (${before.sha256.slice(0, 12)}); give its folder, or distill into a new one`,
    );
  return model;
}
