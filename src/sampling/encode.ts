import type { Model } from "../checkpoint/model.ts";
import { coefficients } from "../diffusion/noise-schedule.ts";
import { ModelError, UsageError } from "../errors.ts";
import { denoiserSignature } from "../models/families.ts";
import { float32, type NDArray } from "../ndarray.ts";
import type { Backend } from "../runtime/backend.ts";
import { compile } from "../runtime/compile.ts";
import { openEngine } from "../runtime/engine.ts";
import { type Steps, samplingSchedule } from "../samplers/levels.ts";
import { ddim, ddimReverseStep } from "../samplers/solvers/ddim.ts";
import { show } from "../tensor/shape.ts";
import { joined, rowsOf, split } from "./batches.ts";
import { boundWeights, denoiserOf, stepGraph } from "./graph.ts";
import { checkSteady } from "./guidance.ts";
import type { SampleEvent } from "./sample.ts";
import { type Run, type RunOptions, settle } from "./settings.ts";
import { mixed } from "./start.ts";

export interface EncodeOptions extends Pick<RunOptions, "labels" | "guidance" | "clip" | "batch"> {
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
 * @throws UsageError for pictures that are not the model's, and as `settle` does
 */
export function settleEncoding(model: Omit<Model, "weights">, options: EncodeOptions): Run {
  const { images, labels, guidance, clip, batch } = options;
  const { steps = Math.min(ddim.steps, denoiserOf(model).process.steps) } = options;
  checkSteady(guidance ?? {}, "encode");
  const [count = 0, ...rest] = images.shape;
  if (count === 0 || show(rest) !== show(model.imageShape))
    throw new UsageError(
      `encode: ${model.source} knows pictures [N, ${model.imageShape.join(", ")}], but ${show(images.shape)} came`,
    );
  return settle(model, {
    ...(labels && { labels }),
    seeds: Array.from({ length: count }, (_, i) => i),
    sampler: ddim({ steps, eta: 0 }),
    guidance: { classifier: 0, classifierFree: 1, ...guidance },
    ...(clip !== undefined && { clip }),
    ...(batch !== undefined && { batch }),
  });
}

/**
 * Finds the noise of pictures by DDIM run backwards; appendix F, Dhariwal & Nichol 2021. After the last step `x` holds the latents:
 * `sample` with `start: { kind: "latents", x }` and the same steps gives the pictures again: what they are off by falls with 1 / steps.
 *
 * One denoiser run for each step of the sampler, and where that ends, this begins. The first goes from the picture, of which the
 * network knows no noise level, to the chain's least noise; each other one goes from a level to the next, as the reference's
 * `ddim_reverse_sample`. The reference's step from the last level on to alpha = 0 is not taken: decoding begins at the last level.
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
  const batches = split(run);
  const size = batches[0]!.seeds.length;
  const graph = stepGraph(model, run, size, { step: ddimReverseStep, memory: [], numbers: [] });
  signal?.throwIfAborted();
  await using ownBackend = options.backend ? undefined : await openEngine();
  await using program = await compile(graph, (options.backend ?? ownBackend)!, { bind: boundWeights(model, run) });

  const noise = float32([size, ...model.imageShape]);
  const least = chain.tables.alpha[0]!;
  let xs = batches.map(({ indices }) => {
    const x = rowsOf(images, indices);
    return mixed(least, x, 0, x);
  });
  for (let step = 1; step <= steps; step++) {
    const index = Math.max(0, step - 2);
    const c = coefficients(chain, new Array<number>(size).fill(index));
    const results: { x: NDArray<"float32">; x0: NDArray<"float32"> }[] = [];
    for (const [i, { label }] of batches.entries()) {
      signal?.throwIfAborted();
      const { x, x0 } = await program.run({
        x: xs[i]!,
        noise,
        coefficients: c,
        label,
        memory: {},
        numbers: {},
        scales: {},
      });
      // dx / dr = eps, for x / alpha and r = sigma / alpha. From r = 0: alpha picture + sigma eps, where sigma eps = x - alpha x0.
      results.push({ x: step === 1 ? mixed(2, xs[i]!, -least, x0) : x, x0 });
    }
    xs = results.map(({ x }) => x);
    yield {
      step,
      steps,
      x: joined(xs, run.seeds.length),
      x0: joined(
        results.map(({ x0 }) => x0),
        run.seeds.length,
      ),
    };
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
