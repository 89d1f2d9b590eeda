import type { Model, Weights } from "../checkpoint/model.ts";
import { UsageError } from "../errors.ts";
import type { NetworkDescription } from "../models/families.ts";
import type { NetworkRole } from "../models/family.ts";
import { planTransfer, type Transfer } from "../models/transfer.ts";
import { initialize } from "../nn/initialize.ts";
import type { Network } from "../nn/module.ts";
import type { JsonObject } from "../training/checkpoint.ts";

/** A model to begin with, as `loadModel` gives it. */
export type StartingModel = Pick<
  Model,
  "source" | "classes" | "imageShape" | "preprocessing" | "denoiser" | "classifier" | "weights"
>;

/** How a network that begins with a model's weights is usually trained. Chosen by few trials; `bench/fine-tuning.ts` measures others. */
export const fineTuning = {
  denoiser: { steps: 1500, learningRate: 5e-4, warmUpSteps: 20 },
  classifier: { steps: 600, learningRate: 5e-4, warmUpSteps: 20 },
} as const;

/** The network of a model that another one of the same role is to begin with. Throws UsageError where the model has none, or a student. */
export function startOf<R extends NetworkRole>(role: R, model: StartingModel): NonNullable<StartingModel[R]> {
  const record = model[role];
  if (record && "teacher" in record && record.teacher)
    throw new UsageError(
      `${model.source} is a student, which knows how to draw in few steps and nothing else; begin with its teacher, ${record.teacher.name}, and distill what comes of it`,
    );
  if (record) return record;
  const other = role === "denoiser" ? "classifier" : "denoiser";
  throw new UsageError(
    `${model.source} holds no ${role} to begin with${model[other] ? `, only a ${other}` : ""}; give a model that has one`,
  );
}

/** Throws UsageError where nothing is known of how images of the one number of channels become those of the other. */
function checkChannels({ source, imageShape: [before] }: StartingModel, [now]: readonly [number, ...number[]]): void {
  if (before === now || before === 1 || now === 1) return;
  throw new UsageError(
    `${source} knows images of ${before} channels, but these have ${now}; a network begins with one for as many, or grey and colour begin with each other`,
  );
}

/** Where a network begins: with weights of a model where one is given, else with those that its layers say. */
export function beginning(
  role: NetworkRole,
  from: StartingModel | undefined,
  { description, network, classes, imageShape, seed }: Beginning,
): { readonly weights: () => Weights; readonly transfer?: Transfer } {
  const weights = () => initialize(network, seed);
  if (!from) return { weights };
  checkChannels(from, imageShape);
  const transfer = planTransfer(
    role,
    { network: startOf(role, from), classes: from.classes },
    { network: description, classes },
  );
  return { transfer, weights: () => transfer.weights(from.weights[role]!, weights()) };
}

interface Beginning {
  readonly description: NetworkDescription;
  readonly network: Network;
  readonly classes: readonly string[];
  readonly imageShape: readonly [number, number, number];
  readonly seed: number;
}

/** What a record of training says of the model that it began with. */
export const recordOfStart = (role: NetworkRole, from: StartingModel | undefined): JsonObject =>
  from ? { from: { name: lastPart(from.source), sha256: startOf(role, from).sha256 } } : {};

/** A folder's own name: where it lies is no one else's business. */
const lastPart = (path: string): string => path.split(/[\\/]/).findLast((part) => part !== "") ?? path;
