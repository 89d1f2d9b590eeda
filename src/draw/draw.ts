import { type NoiseSchedule, type ProcessConfig, scheduleOfLevels } from "../diffusion/noise-schedule.ts";
import { RuntimeFailure, UsageError } from "../errors.ts";
import type { NDArray, Shape, Tree } from "../ndarray.ts";
import { normals } from "../random.ts";
import type { Backend } from "../runtime/backend.ts";
import { batchesOf, evenSize, joinRows } from "../runtime/batches.ts";
import { openEngine } from "../runtime/engine.ts";
import { samplingSchedule } from "../samplers/levels.ts";
import { type Sampler, solverOf } from "../samplers/sampler.ts";
import { show } from "../tensor/shape.ts";
import { ImageBatch } from "./images.ts";
import { type Changes, inputsOf, planOf, scaleNames } from "./plan.ts";
import { type Seeds, seedsOf } from "./seeds.ts";
import { checkStart, type Start, stepsFrom } from "./start.ts";
import { compileSteps, stepGraph } from "./step-graph.ts";

/** What is known after a step, of all images [N, C, H, W], in about [-1, 1]. */
export interface SampleEvent {
  /** 1 ... steps, the steps that are taken: fewer than the schedule has where the drawing starts from a picture. */
  readonly step: number;
  /** How many steps are taken. */
  readonly steps: number;
  /** The noisy images; after the last step, the pictures. */
  readonly x: NDArray<"float32">;
  /** The pictures as this step expects them. */
  readonly x0: NDArray<"float32">;
}

/** What `draw` draws, and with what. W is the tree of weights, S the names of scales, M those of what the predictor remembers. */
export type DrawOptions<
  W extends Tree<NDArray> = Record<never, never>,
  S extends string = never,
  M extends string = never,
> = DrawSettings<W, S, M> & Seeds;

/** Settings of `draw` beside its seeds. */
export interface DrawSettings<W, S extends string, M extends string> extends Changes<W, S, M> {
  /** Arrays that the predictor is made of: they become part of the program, packed for speed. None by default. */
  readonly weights?: W;
  /** Names of what the predictor remembers from one evaluation to the next. Nothing by default. */
  readonly memory?: readonly M[];
  /** The diffusion process that the predictor belongs to. */
  readonly process: ProcessConfig;
  /** The library's, such as `heun({ steps: 20 })`, or your own, which `defineSampler` makes. */
  readonly sampler: Sampler;
  /** The noise levels to visit; by default those of the sampler's `steps` and `levels`. */
  readonly schedule?: NoiseSchedule;
  /** Shape of one image, [C, H, W]. */
  readonly shape: Shape;
  /** Labels that the predictor is told, whole numbers from 0, cycled over the images. None by default. */
  readonly labels?: readonly number[];
  /** Small images that the predictor enlarges, [N, C, h, w], one for each image drawn. */
  readonly lowRes?: NDArray<"float32">;
  /** What to start from in place of noise: latents that `encode` found, or a picture to change or to complete. */
  readonly start?: Start;
  /** Most images at a time; pictures don't depend on it but for rounding. Default 16. */
  readonly batchSize?: number;
  /**
   * Source of noise: `count` draws of N(0, 1) for the image of a seed. Stream 0 is where the image starts, stream k the noise of step k;
   * further draws of a step have the streams of `streamOf`. Philox by default.
   */
  readonly noise?: (seed: number, stream: number, count: number) => Float32Array;
  /** Where to run; by default a backend on the CPU, for as long as the drawing takes. */
  readonly backend?: Backend;
  /** Ends the drawing before the next run of the program: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** What draws, as messages call it. */
  readonly source?: string;
}

/** The options whatever their trees and names are. */
type Untyped = DrawOptions<Tree<NDArray>, string, string>;

/**
 * Draws pictures, step by step, with any predictor and any sampler. Predictor, guidance and the solver's update are one program,
 * compiled once and run once for each evaluation and batch. An image depends on its own seed, not on those drawn beside it.
 *
 * A network and its weights:
 *
 * ```ts
 * draw({
 *   weights,
 *   predictor: (weights) => denoiserPredictor(network.withParameters(weights), process),
 *   process,
 *   sampler: heun({ steps: 20 }),
 *   shape: [1, 28, 28],
 *   count: 16,
 * });
 * ```
 *
 * Guidance whose scale grows over the steps, and two networks for two ranges of noise:
 *
 * ```ts
 * scales: ({ step, steps }) => ({ cfg: 1 + (2 * step) / steps }),
 * predictor: (weights, { scales }) => classifierFree(denoiser(weights), { scale: scales.cfg, nullLabel }),
 * ```
 *
 * ```ts
 * predictor: { at: ({ sigma, alpha }) => (sigma / alpha > 1 ? coarse : fine) },
 * ```
 *
 * @throws UsageError for options that contradict each other; RuntimeFailure, naming the step, where images stop being finite
 */
export function draw<
  const W extends Tree<NDArray> = Record<never, never>,
  const S extends string = never,
  const M extends string = never,
>(options: DrawOptions<W, S, M>): AsyncGenerator<SampleEvent, void, undefined> {
  return drawing(options as unknown as Untyped);
}

async function* drawing(options: Untyped): AsyncGenerator<SampleEvent, void, undefined> {
  const { start, shape, batchSize = 16, labels, lowRes, signal, source = "the predictor" } = options;
  const { weights = {}, memory: remembered = [], noise = normals } = options;
  const seeds = seedsOf(options);
  const size = evenSize(seeds.length, batchSize);
  checkImages(options, seeds.length);
  checkStart(start, { shape, count: seeds.length, source });
  const { process, sampler, schedule: whole = samplingSchedule(process, sampler) } = options;
  const all = whole.levels.length;
  const steps = stepsFrom(start, all);
  const schedule = leastNoisy(whole, steps);
  const solver = solverOf(sampler, schedule);
  const plan = planOf(solver, all, options);
  const scales = scaleNames(plan);

  const told = { labelled: labels !== undefined, lowResShape: lowRes?.shape.slice(1) };
  const step = { weights, solver, shape, batchSize: size, scales, memory: remembered, ...told };
  const predictors = [...new Set(plan.flat().map(({ predictor }) => predictor))];
  const graphs = predictors.map((predictor) => stepGraph({ ...step, predictor }));
  signal?.throwIfAborted();
  await using ownBackend = options.backend ? undefined : await openEngine();
  await using programs = await compileSteps(graphs, weights, options.backend ?? ownBackend!);

  const course = { ...options, seeds, schedule, all, memory: solver.memory, remembered, noise };
  const batches = batchesOf(seeds.length, size).map(({ indices }) => new ImageBatch(course, indices));
  for (const [done, evaluations] of plan.entries()) {
    const ready = evaluations.map((evaluation) => ({
      run: programs.all[predictors.indexOf(evaluation.predictor)]!.run,
      noisy: evaluation.noisy,
      inputs: inputsOf(evaluation, size, scales),
    }));
    for (const batch of batches) await batch.step(steps - 1 - done, ready);
    const gather = (name: "x" | "x0"): NDArray<"float32"> =>
      joinRows(
        batches.map((batch) => batch[name]),
        seeds.length,
      );
    const event = { step: done + 1, steps, x: gather("x"), x0: gather("x0") };
    checkFinite(event, source);
    yield event;
  }
}

/** The lower end of a schedule, where a drawing from a picture begins. */
const leastNoisy = (schedule: NoiseSchedule, count: number): NoiseSchedule =>
  count === schedule.levels.length
    ? schedule
    : scheduleOfLevels(schedule.config, schedule.levels.slice(0, count), {
        timesteps: schedule.timesteps.slice(0, count),
      });

/** Throws UsageError where what is given for each image cannot be. */
function checkImages({ labels, lowRes, shape }: Untyped, count: number): void {
  if (labels?.length === 0) throw new UsageError("sample: labels is empty; leave it out to tell none");
  const bad = labels?.find((label) => !Number.isInteger(label) || label < 0);
  if (bad !== undefined) throw new UsageError(`sample: labels must be whole numbers from 0 but one is ${bad}`);
  if (lowRes && (lowRes.shape.length !== 4 || lowRes.shape[0] !== count || lowRes.shape[1] !== shape[0]))
    throw new UsageError(
      `sample: lowRes must be [${count}, ${shape[0]}, h, w], one small image for each drawn, but is ${show(lowRes.shape)}`,
    );
}

/** Throws RuntimeFailure where images hold values that are not finite. */
export function checkFinite({ step, steps, x: { data } }: SampleEvent, source: string): void {
  // Zero times anything finite is zero: one pass, and one comparison.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += 0 * data[i]!;
  if (sum === 0) return;
  const bad = data.reduce((count, value) => (Number.isFinite(value) ? count : count + 1), 0);
  throw new RuntimeFailure(
    `${source}: step ${step} of ${steps}: ${bad} of ${data.length} values are not finite; the weights overflow or the settings are too strong`,
  );
}
