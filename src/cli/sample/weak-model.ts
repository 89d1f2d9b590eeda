import type { Model } from "../../checkpoint/model.ts";
import { loadModel } from "../../checkpoint/model-folder.ts";
import { ModelError } from "../../errors.ts";
import type { RunSpec } from "../../sampling/run-spec.ts";

/**
 * The weak model of autoguidance and what a record says of it, where options or the record of `--from` name one.
 *
 * @throws ModelError where its weights are others than those of the record
 */
export async function openWeakModel(
  folder: string | undefined,
  before: RunSpec | undefined,
): Promise<{ readonly model: Model; readonly record: NonNullable<RunSpec["weakModel"]> } | undefined> {
  const name = folder ?? before?.weakModel?.name;
  if (name === undefined) return undefined;
  const model = await loadModel(name);
  const { sha256 } = model.denoiser ?? { sha256: "" };
  if (before?.weakModel && before.weakModel.denoiser !== sha256)
    throw new ModelError(
      `${model.source}: the picture was guided by other weights than are there now; give their folder by --weak-model`,
    );
  return { model, record: { name, denoiser: sha256 } };
}
