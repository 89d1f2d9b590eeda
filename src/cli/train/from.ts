import { realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import { bundledModels, findModel, loadModel } from "../../checkpoint/model-folder.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { holderOf } from "../../files/lock.ts";
import type { NetworkRole } from "../../models/family.ts";
import type { Transfer } from "../../models/transfer.ts";
import { type StartingModel, startOf } from "../../recipes/fine-tuning.ts";
import type { JsonObject } from "../../training/checkpoint.ts";
import type { Values } from "../terminal/option.ts";
import type { trainOptions } from "./options.ts";

/**
 * The model that --from names, to begin with.
 *
 * @throws UsageError where it is the folder that is to be written, one that is written now, or has no such network; ModelError where there is none
 */
export async function openStart(network: NetworkRole, name: string, out: string): Promise<StartingModel> {
  const folder = await findModel(name).catch((error) => {
    throw error instanceof ModelError ? new ModelError(`--from ${error.message}`, { cause: error }) : error;
  });
  const real = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));
  if ((await real(folder)) === (await real(out)))
    throw new UsageError(
      `--from ${name} is the folder that --out writes; give another --out, or go on with its own training by --resume`,
    );
  const holder = await holderOf(folder);
  if (holder !== undefined)
    throw new UsageError(
      `--from ${name}: ${holder} is writing into it; wait until that has ended, or give another model`,
    );
  const model = await loadModel(folder);
  const start = { ...model, source: name };
  startOf(network, start);
  return start;
}

/** What checkpoints keep of it, so that a run goes on where the model itself is gone. The weights are taken over once, and not kept. */
export function storedStart(network: NetworkRole, start: StartingModel): JsonObject {
  const { kind, config, process, sha256 } = startOf(network, start);
  const { source, classes, imageShape, preprocessing } = start;
  return JSON.parse(
    JSON.stringify({ source, classes, imageShape, preprocessing, network: { kind, config, process, sha256 } }),
  );
}

/** The same again. */
export function restoredStart(network: NetworkRole, stored: JsonObject): StartingModel {
  const { network: kept, ...model } = stored as unknown as StartingModel & { readonly network: object };
  const record = { file: `${network}.safetensors`, parameters: 1, ...kept };
  return { ...model, [network]: record, weights: {} };
}

/** A model's name as checkpoints keep it: a bundled one's own, a folder's whole path. */
export const storedName = async (name: string): Promise<string> =>
  (await bundledModels()).includes(name) && !(await isModelFolder(name)) ? name : resolve(name);

const isModelFolder = (name: string): Promise<boolean> =>
  realpath(join(name, "model.json")).then(
    () => true,
    () => false,
  );

type Common = Values<typeof trainOptions>;

/** Options of a run that begins with a model: images become as large as the model's, and show its background, unless they join another model. */
export const valuesOfStart = <V extends Common>(values: V, start: StartingModel, joined: boolean): V => ({
  ...values,
  ...(!joined && imagesOfStart(values, start)),
});

const imagesOfStart = (
  { size, background }: Common,
  { imageShape: [, height, width], preprocessing }: StartingModel,
): Pick<Common, "size" | "background"> => ({
  size: size ?? (height === width ? height : undefined),
  background: background ?? preprocessing.background,
});

const millions = (count: number): string => (count / 1e6).toPrecision(3);

/** What was taken over, and what is new: a line. */
export function describeTransfer(
  { taken, parameters, sameClasses, newClasses, newTensors, channels }: Transfer,
  name: string,
): string {
  const listed = (names: readonly string[]): string =>
    names.length > 5 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
  const colour = channels && ` (${channels[0] === 1 ? "grey" : "colour"} to ${channels[1] === 1 ? "grey" : "colour"})`;
  const fresh = [
    ...(newClasses.length > 0 ? [`classes ${listed(newClasses)}`] : []),
    ...(newTensors.length > 0 ? [listed(newTensors)] : []),
  ];
  return [
    `taken over: ${millions(taken)} of ${millions(parameters)} M parameters from ${name}${colour ?? ""}`,
    ...(sameClasses.length > 0 ? [`of the same name: classes ${listed(sameClasses)}`] : []),
    ...(fresh.length > 0 ? [`new: ${fresh.join(", ")}`] : []),
  ].join("; ");
}
