import type { Model, ModelToSave, Weights } from "../checkpoint/model.ts";
import { studentProcess } from "../diffusion/process-config.ts";
import { ModelError, UsageError } from "../errors.ts";
import { toldSetting } from "../guidance/guidances.ts";
import { denoiserNetwork, denoiserSignature, familyOf, type NetworkDescription } from "../models/families.ts";
import type { DenoiserNetwork } from "../models/family.ts";
import { planTransfer } from "../models/transfer.ts";
import { initialize } from "../nn/initialize.ts";
import { type TrajectorySource, trajectoryPairs } from "../training/consistency/trajectory-pairs.ts";
import { tuningPairs } from "../training/consistency/tuning-pairs.ts";
import type { ConsistencyOptions } from "../training/tasks/consistency.ts";
import type { BatchAt } from "../training/tasks/data.ts";
import type { TrainOptions } from "../training/train.ts";
import type { Recipe } from "./recipe.ts";

/** Choices of `studentRecipe`. */
export interface StudentRecipeOptions
  extends Omit<TrainOptions, "backend" | "steps" | "betas" | "config" | "mayChange"> {
  /** A model whose denoiser is distilled. */
  teacher: Model;
  /** Its trajectories, as `trajectorySource` draws them, under guidance of the scales that the student is told. */
  source?: TrajectorySource | undefined;
  /** In place of them, images in batches of `batchSize`, with the model's labels, to tune on: without guidance. */
  images?: BatchAt | undefined;
  /** Largest scale of classifier-free guidance that the student is told, where the teacher has a null label; 4 by default. */
  maxCfgScale?: number;
  /** Updates in all; 800 by default, and no limit where `minutes` are given. */
  steps?: number;
  /** Pairs of an update; 32 by default. */
  batchSize?: number;
  /** How many pairs are taken of each trajectory; 10 by default. */
  uses?: number;
  /** Of every draw; 0 by default. */
  seed?: number;
}

/** What is usual of a student. */
export const studentDefaults = { maxCfgScale: 4, steps: 800, batchSize: 32, uses: 10 } as const;

/** Largest scale that a student of this model is told; undefined where the teacher cannot be guided. */
export const studentScale = (teacher: Model, asked: number = studentDefaults.maxCfgScale): number | undefined =>
  denoiserSignature(distilled(teacher)).nullLabel === undefined ? undefined : asked;

/**
 * How `guidestar distill` makes a student of a model, which draws in one or a few steps, as values:
 *
 * ```ts
 * const source = trajectorySource(teacher, { maxCfgScale: 4, backend });
 * const recipe = studentRecipe({ teacher, source });
 * const weights = await trained(trainConsistency({ ...recipe.training, backend }));
 * await saveModel("runs/student", recipe.model(weights));
 * ```
 *
 * @throws UsageError unless there are either trajectories or images; ModelError where the model has no denoiser, or one that cannot have students: an upsampler, a student, a family without them
 */
export function studentRecipe(
  options: StudentRecipeOptions,
): Recipe<DenoiserNetwork, Omit<ConsistencyOptions & TrainOptions, "backend">> {
  const {
    teacher,
    source,
    images,
    maxCfgScale: asked,
    batchSize = studentDefaults.batchSize,
    uses = studentDefaults.uses,
    ...others
  } = options;
  const { steps = others.minutes === undefined ? studentDefaults.steps : undefined } = others;
  const { seed = 0, learningRate = 1e-3 } = others;
  const record = distilled(teacher);
  if (!source === !images) throw new UsageError("a student learns of trajectories or of images: give source or images");
  const maxCfgScale = images ? undefined : studentScale(teacher, asked);
  const description = studentOf(record, maxCfgScale);
  const network = denoiserNetwork(description);
  const signature = denoiserSignature(record);
  const process = studentProcess(record.process);
  const { classes } = teacher;
  const takenOver = planTransfer("denoiser", { network: record, classes }, { network: description, classes });
  return {
    network,
    training: {
      maxGradientNorm: 1,
      warmUpSteps: Math.min(100, Math.floor((steps ?? Infinity) / 10)),
      decay: "cosine",
      emaRate: 0.999,
      microBatch: Math.min(16, batchSize),
      ...others,
      ...(steps !== undefined && { steps }),
      learningRate,
      network,
      weights: () => takenOver.weights(teacher.weights.denoiser!, initialize(network, seed)),
      process,
      pairsAt: images
        ? tuningPairs({
            process,
            batchAt: images,
            steps: lengthOf(steps),
            classes: signature.classes !== undefined,
            seed,
          })
        : trajectoryPairs({ process, source: source!, batchSize, uses, seed }),
    },
    model: (weights, training = {}) => studentModel(teacher, { ...description, process, training }, weights),
  };
}

/** Throws UsageError where a run on images has no number of steps. */
function lengthOf(steps: number | undefined): number {
  if (steps !== undefined) return steps;
  throw new UsageError("tuning on images goes by stages, which are parts of the steps: give steps too");
}

/** What `saveModel` takes for a student. */
function studentModel(
  { classes, imageShape, preprocessing, sampling = {}, denoiser, source }: Model,
  record: Omit<NonNullable<ModelToSave["denoiser"]>["record"], "teacher">,
  weights: Weights,
): ModelToSave {
  const { maxCfgScale = 0 } = denoiserSignature(record);
  const scale = sampling[toldSetting];
  const isLearnt = typeof scale === "number" && scale >= 1 && scale <= maxCfgScale;
  return {
    classes,
    imageShape,
    preprocessing,
    ...(isLearnt && { sampling: { [toldSetting]: scale } }),
    denoiser: { record: { ...record, teacher: { name: source, sha256: denoiser!.sha256 } }, weights },
  };
}

/** The denoiser that is distilled. Throws ModelError where there can be no student of it. */
function distilled({ denoiser, source }: Model) {
  if (!denoiser)
    throw new ModelError(`${source}: the model has no denoiser to distill; \`guidestar train denoiser\` adds one`);
  if (denoiser.process.consistency)
    throw new ModelError(
      `${source}: this model is a student itself${denoiser.teacher ? ` of ${denoiser.teacher.name}` : ""}: it tells where the flow ends, and has no flow to learn from; distill its teacher`,
    );
  if (denoiserSignature(denoiser).lowRes)
    throw new ModelError(
      `${source}: the model is an upsampler, and students draw from noise alone; distill the model whose pictures it enlarges`,
    );
  if (!familyOf("denoiser", denoiser.kind).student)
    throw new ModelError(
      `${source}: networks of the family ${denoiser.kind} have no students; it says no student config`,
    );
  return denoiser;
}

function studentOf({ kind, config }: NetworkDescription, maxCfgScale: number | undefined): NetworkDescription {
  const student = familyOf("denoiser", kind).student!(config, { maxCfgScale });
  const { classes, nullLabel, ...signature } = denoiserSignature({ kind, config: student });
  if (nullLabel !== undefined || signature.maxCfgScale !== maxCfgScale)
    throw new UsageError(`family ${kind}: its students must have no null label and be told scales to ${maxCfgScale}`);
  return { kind, config: student };
}
