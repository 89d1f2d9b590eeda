import type { Model } from "../checkpoint/model.ts";
import { coefficients } from "../diffusion/noise-schedule.ts";
import { checkFinite, type SampleEvent } from "../draw/draw.ts";
import { mixed } from "../draw/start.ts";
import { compileSteps, stepGraph } from "../draw/step-graph.ts";
import { ModelError, UsageError } from "../errors.ts";
import { denoiserSignature } from "../models/families.ts";
import { float32, int32, type NDArray } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import { batchesOf, evenSize, joinRows, rowsOf } from "../runtime/batches.ts";
import { openEngine } from "../runtime/engine.ts";
import { type Steps, samplingSchedule } from "../samplers/levels.ts";
import { ddim, ddimReverseStep } from "../samplers/solvers/ddim.ts";
import { definedOf } from "../setting.ts";
import { show } from "../tensor/shape.ts";
import { checkSteady, guidanceOff } from "./guidance.ts";
import { denoiserOf, predictorOf } from "./predictor.ts";
import { type RunOptions, type SettledRun, settle } from "./settings.ts";

/** Settings of `encode`. */
export interface EncodeOptions extends Pick<RunOptions, "labels" | "guidance" | "clip" | "batchSize"> {
  /** Pictures [N, C, H, W] in [-1, 1]. */
  readonly images: NDArray<"float32">;
  /** As of a sampler; decoding takes the same. 50 by default, or the model's T where that is less. */
  readonly steps?: Steps;
  /** Where to run; by default a backend on the CPU, for as long as the encoding takes. */
  readonly backend?: Backend;
  /** Ends the work before the next run of the program: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * The run that encodes with these options, and whose `sample` decodes: DDIM with eta 0, no guidance unless it is asked for.
 *
 * @throws UsageError for pictures that are not the model's, and as `settle` does; ModelError for a student
 */
export function settleEncoding(model: Omit<Model, "weights">, options: EncodeOptions): SettledRun {
  const { images, labels, guidance, clip, batchSize } = options;
  const { steps = Math.min(ddim.steps, denoiserOf(model).process.steps) } = options;
  if (denoiserOf(model).process.consistency)
    throw new ModelError(
      `${model.source}: this model is a student, which tells where the flow ends and cannot go it backwards; encode with its teacher`,
    );
  const [count = 0, ...rest] = images.shape;
  if (count === 0 || show(rest) !== show(model.imageShape))
    throw new UsageError(
      `encode: ${model.source} knows pictures [N, ${model.imageShape.join(", ")}], but ${show(images.shape)} came`,
    );
  const run = settle(model, {
    ...(labels && { labels }),
    seeds: Array.from({ length: count }, (_, i) => i),
    sampler: ddim({ steps, eta: 0 }),
    guidance: { ...guidanceOff, ...definedOf(guidance ?? {}) },
    ...(clip !== undefined && { clip }),
    ...(batchSize !== undefined && { batchSize }),
  });
  checkSteady(run.guidance, "encode");
  return run;
}

/**
 * Finds the noise of pictures by DDIM run backwards; appendix F, Dhariwal & Nichol 2021. After the last step `x` holds the latents:
 * `sample` with `start: { kind: "latents", x }` and the same steps gives the pictures again: what they are off by falls with 1 / steps.
 *
 * One denoiser run for each step of the sampler, and where that ends, this begins. The first goes from the picture, of which the
 * network knows no noise level, to the chain's least noise; each other one goes from a level to the next, as guided-diffusion's
 * `ddim_reverse_sample`. Its step from the last level on to alpha = 0 is not taken: decoding begins at the last level.
 *
 * @throws UsageError for pictures of another shape or options that the model cannot serve; ModelError where it has no denoiser, or
 *   enlarges small images
 */
export async function* encode(model: Model, options: EncodeOptions): AsyncGenerator<SampleEvent, void, undefined> {
  const { images, signal } = options;
  const denoiser = denoiserOf(model);
  const { process } = denoiser;
  if (denoiserSignature(denoiser).lowRes)
    throw new ModelError(`${model.source}: an upsampler does not encode pictures; give the model that draws them`);
  const run = settleEncoding(model, options);
  const chain = samplingSchedule(process, run.sampler);
  const steps = chain.timesteps.length;
  const count = run.seeds.length;
  const size = evenSize(count, run.batchSize);
  const solver = { step: ddimReverseStep, memory: [], numbers: [] };
  const { weights, ...asked } = predictorOf(model, run);
  const graph = stepGraph({ ...asked, weights, solver, batchSize: size, labelled: true });
  signal?.throwIfAborted();
  await using ownBackend = options.backend ? undefined : await openEngine();
  await using programs = await compileSteps([graph], weights, options.backend ?? ownBackend!);
  const [program] = programs.all;

  const noise = float32([size, ...model.imageShape]);
  const least = chain.tables.alpha[0]!;
  const batches = batchesOf(count, size).map(({ indices }) => {
    const picture = rowsOf(images, indices);
    const label = int32(
      [size],
      indices.map((i) => run.labels[i]!),
    );
    return { label, x: mixed(least, picture, 0, picture), x0: picture };
  });
  const rest = { noise, memory: {}, numbers: {}, scales: {}, remembered: {} };
  for (let step = 1; step <= steps; step++) {
    const index = Math.max(0, step - 2);
    const c = coefficients(chain, new Array<number>(size).fill(index));
    for (const batch of batches) {
      signal?.throwIfAborted();
      const { label } = batch;
      const { x, x0 } = await program!.run({ ...rest, x: batch.x, label, coefficients: c });
      // dx / dr = eps, for x / alpha and r = sigma / alpha. From r = 0: alpha picture + sigma eps, where sigma eps = x - alpha x0.
      batch.x = step === 1 ? mixed(2, batch.x, -least, x0) : x;
      batch.x0 = x0;
    }
    const gather = (name: "x" | "x0"): NDArray<"float32"> =>
      joinRows(
        batches.map((batch) => batch[name]),
        count,
      );
    const event = { step, steps, x: gather("x"), x0: gather("x0") };
    checkFinite(event, model.source);
    yield event;
  }
}

/** Root mean square difference of each two pictures, in steps of a byte: 0 ... 255. */
export function reconstructionErrors(a: NDArray<"float32">, b: NDArray<"float32">): number[] {
  const count = a.shape[0]!;
  const size = a.data.length / count;
  return Array.from({ length: count }, (_, n) => {
    let sum = 0;
    for (let i = n * size; i < (n + 1) * size; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
    return 127.5 * Math.sqrt(sum / size);
  });
}
