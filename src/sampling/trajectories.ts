import type { Model } from "../checkpoint/model.ts";
import type { Trajectories } from "../diffusion/consistency.ts";
import { type DrawOptions, draw } from "../draw/draw.ts";
import type { MakePredictor } from "../draw/step-graph.ts";
import { classifierFree } from "../guidance/kinds/classifier-free.ts";
import { clipped, denoiserPredictor } from "../guidance/predictor.ts";
import { denoiserNetwork, denoiserSignature } from "../models/families.ts";
import { float32, int32, type NDArray } from "../ndarray.ts";
import { normals, uniforms } from "../random.ts";
import { makeRows } from "../runtime/batches.ts";
import { samplingSchedule } from "../samplers/levels.ts";
import { dpm2m } from "../samplers/solvers/dpm-2m.ts";
import { constant } from "../tensor/tensor.ts";
import { denoiserOf } from "./predictor.ts";

/** Settings of `flowTrajectories`. */
export interface TrajectoryOptions extends Pick<DrawOptions, "backend" | "signal" | "batchSize"> {
  /** One for each trajectory: where it begins. */
  readonly seeds: readonly number[];
  /** Class of each, where the model is told one. */
  readonly labels: readonly number[];
  /** Scales of classifier-free guidance that there are, where the model has a null label, and which of them each takes. */
  readonly guidanceScales?: { readonly all: readonly number[]; readonly chosen: readonly number[] } | undefined;
  /** Steps of the sampler, DPM-Solver++ (2M); by default its usual 10. */
  readonly steps?: number | undefined;
}

/**
 * Trajectories of a denoiser's probability flow under classifier-free guidance, as the usual sampler goes, predicted images limited to
 * [-1, 1]. The scales are part of the program, so that it stays the same from call to call.
 */
export async function flowTrajectories(
  model: Model,
  { seeds, labels, guidanceScales, steps, ...where }: TrajectoryOptions,
): Promise<Trajectories> {
  const { process } = denoiserOf(model);
  const sampler = dpm2m({ ...(steps !== undefined && { steps }) });
  const { levels } = samplingSchedule(process, sampler);
  const { classes } = denoiserSignature(denoiserOf(model));
  const told = guidanceScales ? labels.map((label, i) => label + (classes ?? 1) * guidanceScales.chosen[i]!) : labels;
  const predictor = teacherPredictor(model, guidanceScales?.all);
  const weights = { denoiser: model.weights.denoiser ?? {} };
  const options = { weights, predictor, process, sampler, seeds, shape: model.imageShape, source: model.source };
  const top = levels.at(-1)!;
  const scale = Math.hypot(top.alpha, top.sigma);
  const noise = makeRows(seeds, model.imageShape, (seed, size) => normals(seed, 0, size).map((value) => scale * value));
  const x: NDArray<"float32">[] = [noise];
  for await (const event of draw({ ...options, labels: told, ...where })) x.push(event.x);
  return {
    levels: [...levels].reverse(),
    end: x.pop()!,
    x,
    ...(classes !== undefined && { labels: int32([seeds.length], labels) }),
    ...(guidanceScales && {
      guidanceScales: float32(
        [seeds.length],
        guidanceScales.chosen.map((index) => guidanceScales.all[index]!),
      ),
    }),
  };
}

/** A denoiser under guidance of the scale of each image: its labels count classes first, then scales. */
function teacherPredictor(
  model: Model,
  scales: readonly number[] | undefined,
): MakePredictor<{ denoiser: NonNullable<Model["weights"]["denoiser"]> }> {
  const record = denoiserOf(model);
  const network = denoiserNetwork(record);
  const { nullLabel, classes = 1 } = denoiserSignature(record);
  return ({ denoiser }) => {
    const plain = denoiserPredictor((x, t, condition) => network(denoiser, x, t, condition), record.process);
    if (!scales) return clipped(plain);
    // Columns: class and scale of each label.
    const rows = scales.flatMap((scale) => Array.from({ length: classes }, (_, label) => [label, scale]));
    const table = constant(float32([rows.length, 2], rows.flat()));
    return clipped((xt, c, { label }) => {
      const row = table.gather(0, label!);
      const [own, scale] = row.split(1, 2).map((column) => column.reshape(-1));
      const guided = classifierFree(plain, { scale: scale!, nullLabel: nullLabel! });
      return guided(xt, c, { label: own!.cast("int32") });
    });
  };
}

/** Settings of `trajectorySource`. */
export interface SourceOptions extends Pick<DrawOptions, "backend" | "signal"> {
  /** Trajectories of a block; 256 by default. */
  readonly size?: number | undefined;
  /** Largest scale of classifier-free guidance, where the model has a null label: scales are drawn evenly from 1 to this. */
  readonly maxCfgScale?: number | undefined;
  /** Of noise, classes and scales; 0 by default. */
  readonly seed?: number | undefined;
  /** Steps of the sampler. */
  readonly steps?: number | undefined;
}

/** How many scales there are from 1 to the largest. */
const scaleCount = 32;
/** Seeds of trajectories begin here, beyond those that people count pictures by; then blocks of each seed of a run. */
const [firstSeed, seedsOfRun] = [2 ** 48, 2 ** 28] as const;

/** Blocks of a teacher's trajectories, of every class and scale, for `trajectoryPairs`: a function of seed and block. */
export function trajectorySource(model: Model, options: SourceOptions) {
  const { size = 256, maxCfgScale, seed = 0, ...where } = options;
  const { classes = 1, nullLabel } = denoiserSignature(denoiserOf(model));
  const all = Array.from({ length: scaleCount }, (_, i) => 1 + ((maxCfgScale ?? 1) - 1) * (i / (scaleCount - 1)));
  const withScales = maxCfgScale !== undefined && nullLabel !== undefined;
  return {
    size,
    /** The trajectories of a block, the same ones each time. */
    block(index: number): Promise<Trajectories> {
      const seeds = Array.from({ length: size }, (_, i) => firstSeed + seed * seedsOfRun + index * size + i);
      const u = uniforms(firstSeed + seed, index, 2 * size);
      const pick = (column: number, count: number) => seeds.map((_, i) => Math.floor(u[2 * i + column]! * count));
      const guidanceScales = withScales ? { all, chosen: pick(1, scaleCount) } : undefined;
      return flowTrajectories(model, { ...where, seeds, labels: pick(0, classes), guidanceScales, batchSize: 32 });
    },
  };
}
