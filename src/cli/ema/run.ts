import { join, resolve } from "node:path";
import { averageOfLength } from "../../checkpoint/average-folder.ts";
import { findModel, loadModel, saveModel } from "../../checkpoint/model-folder.ts";
import { ModelError } from "../../errors.ts";
import { lockFolder } from "../../files/lock.ts";
import { networkRoles } from "../../models/family.ts";
import type { Action } from "../terminal/command.ts";
import { checkReplaced } from "../terminal/kept.ts";
import type { EmaValues } from "./command.ts";

/** `guidestar ema`. */
export const runEma: Action<EmaValues> = async ({ length, step, out, storage, replace }, { terminal, signal }, run) => {
  await using _lock = await lockFolder(out ?? run);
  const model = await loadModel(await findModel(run));
  const { denoiser, classifier, classes, imageShape, preprocessing, sampling } = model;
  if (!denoiser) throw new ModelError(`${run}: there is no denoiser whose weights could be averaged`);
  const average = await averageOfLength(join(run, "checkpoints", "denoiser"), length, { step, signal });
  const training = { ...denoiser.training, step: average.step, averageLength: length };
  // The run itself keeps the snapshots and checkpoints of which its denoiser was made.
  if (out !== undefined && resolve(out) !== resolve(run))
    for (const role of networkRoles) {
      if (!model[role]) continue;
      const about = { doing: "the average", replace, training: role === "denoiser" ? training : model[role]?.training };
      const replaced = await checkReplaced(out, role, about);
      if (replaced !== undefined) terminal.message(`note: ${replaced}\n`);
    }
  await saveModel(
    out ?? run,
    {
      classes,
      imageShape,
      preprocessing,
      ...(sampling && { sampling }),
      denoiser: { record: { ...denoiser, training }, weights: average.weights },
      ...(out !== undefined &&
        classifier && { classifier: { record: classifier, weights: model.weights.classifier! } }),
    },
    { storage, signal },
  );
  terminal.message(
    `denoiser: average of length ${length} at step ${average.step}, from ${average.snapshots} snapshots; ` +
      `its profile is met within ${(100 * average.error).toPrecision(2)}%\n`,
  );
  terminal.out(`${out ?? run}\n`);
};
