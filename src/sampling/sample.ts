import type { Model } from "../checkpoint/model.ts";
import { coefficientColumns, scheduleOfLevels } from "../diffusion/noise-schedule.ts";
import { UsageError } from "../errors.ts";
import { denoiserSignature } from "../models/families.ts";
import { float32, type NDArray, sizeOf } from "../ndarray.ts";
import { normals } from "../random.ts";
import type { Backend } from "../runtime/backend.ts";
import { compile } from "../runtime/compile.ts";
import { openEngine } from "../runtime/engine.ts";
import { samplingSchedule } from "../samplers/levels.ts";
import { solverOf } from "../samplers/sampler.ts";
import type { Evaluation } from "../samplers/solver.ts";
import { show } from "../tensor/shape.ts";
import { joined, rowsOf, split } from "./batches.ts";
import { boundWeights, denoiserOf, stepGraph } from "./graph.ts";
import { remembering, type Scales, scalesAt, withoutGuidance } from "./guidance.ts";
import { type Run, type RunOptions, settle } from "./settings.ts";
import {
  blend,
  checkStart,
  jumpBack,
  noisedAt,
  pureNoise,
  repetitionsOf,
  type Start,
  stepsFrom,
  streamOf,
} from "./start.ts";

export interface SampleOptions extends RunOptions {
  /** What to start from in place of noise: latents that `encode` found, or a picture to change or to complete. */
  readonly start?: Start;
  /** For an upsampler: the small image of each seed, [N, C, h, w] in [-1, 1]. */
  readonly lowRes?: NDArray<"float32">;
  /** Where to run; by default a backend on the CPU, for as long as the sampling takes. */
  readonly backend?: Backend;
  /** Ends the sampling before the next run of the program: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Source of noise: `count` draws of N(0, 1) for the image of a seed, stream 0 to start with, at step k stream k and, where that draws more than once, those of `streamOf`. */
  readonly noise?: (seed: number, stream: number, count: number) => Float32Array;
}

/** What is known after a step, of all images [N, C, H, W], in about [-1, 1]. */
export interface SampleEvent {
  /** 1 ... steps, which are those that are taken: fewer than the sampler's where a picture gets less than all noise. */
  readonly step: number;
  readonly steps: number;
  /** The noisy images; after the last step, the pictures. */
  readonly x: NDArray<"float32">;
  /** The pictures as this step expects them. */
  readonly x0: NDArray<"float32">;
}

/**
 * Draws pictures, step by step. Denoiser, classifier, its gradient and the sampler's update are one program, compiled once and run
 * once for each evaluation and batch; a second one without guidance runs where its interval or schedule leaves it out. An upsampler
 * draws the large pictures of small ones, `lowRes`; `cascade` gives it those of another model.
 *
 * @throws UsageError for options that the model cannot serve, and for small images that are missing or of another shape than an upsampler's; ModelError where it has no denoiser, or its classifier knows other noise
 */
export async function* sample(model: Model, options: SampleOptions): AsyncGenerator<SampleEvent, void, undefined> {
  const { signal, noise = normals, start, weak } = options;
  const run = settle(model, options);
  const { process } = denoiserOf(model);
  checkLowRes(model, options.lowRes, run.seeds.length);
  checkStart(start, model, run.seeds.length);
  const whole = samplingSchedule(process, run.sampler);
  const all = whole.levels.length;
  const steps = stepsFrom(start, all);
  const { levels, timesteps } = whole;
  // The levels that are visited, as a chain of their own: a solver's first step is that from the most noise that there is.
  const chain =
    steps === all ? whole : scheduleOfLevels(process, levels.slice(0, steps), { timesteps: timesteps.slice(0, steps) });
  const solver = remembering(solverOf(run.sampler, chain), run.guidance);
  // A step that is taken late in a whole run is guided as late in one that starts from a picture.
  const plan = solver.plan.map((evaluations, done) =>
    evaluations.map((evaluation) => {
      const { sigma, alpha } = evaluation.coefficients;
      const scales = scalesAt(run.guidance, { step: all - steps + done + 1, steps: all, ratio: sigma / alpha });
      return { ...evaluation, scales };
    }),
  );

  const batches = split(run);
  const size = batches[0]!.seeds.length;
  const shape = [size, ...model.imageShape];
  // Where there is no guidance, a second program runs, which does not ask what only guidance needs.
  const plain = { ...run, guidance: withoutGuidance(run.guidance) };
  const stepOf = (run: Run) => ({
    graph: stepGraph(model, run, size, solver, weak),
    bind: boundWeights(model, run, weak),
  });
  const isGuided = plan.flat().map(({ scales }) => scales !== undefined);
  const guidedStep = isGuided.includes(true) ? stepOf(run) : undefined;
  const plainStep = isGuided.includes(false) ? stepOf(plain) : undefined;
  signal?.throwIfAborted();
  await using ownBackend = options.backend ? undefined : await openEngine();
  const backend = (options.backend ?? ownBackend)!;
  await using guidedProgram = guidedStep && (await compile(guidedStep.graph, backend, guidedStep));
  await using plainProgram = plainStep && (await compile(plainStep.graph, backend, plainStep));

  const draw = (seeds: readonly number[], stream: number): NDArray<"float32"> => {
    const count = sizeOf(model.imageShape);
    const values = new Float32Array(size * count);
    for (const [i, seed] of seeds.entries()) values.set(noise(seed, stream, count), i * count);
    return float32(shape, values);
  };
  const silence = float32(shape);
  const small = options.lowRes && batches.map(({ indices }) => ({ lowRes: rowsOf(options.lowRes!, indices) }));
  const pictures =
    start && batches.map(({ indices }) => rowsOf(start.kind === "latents" ? start.x : start.x0, indices));
  const state = batches.map(({ seeds }, i) => ({
    x: startOf(seeds, i),
    x0: silence,
    memory: Object.fromEntries(solver.memory.map((name) => [name, silence])),
  }));
  function startOf(seeds: readonly number[], batch: number): NDArray<"float32"> {
    if (start?.kind === "latents") return pictures![batch]!;
    const noisy = draw(seeds, 0);
    return steps < all ? noisedAt(chain, steps - 1, pictures![batch]!, noisy) : pureNoise(chain, noisy);
  }

  for (const [done, evaluations] of plan.entries()) {
    const index = steps - 1 - done;
    const given = evaluations.map((evaluation) => ({
      program: (evaluation.scales ? guidedProgram : plainProgram)!,
      noisy: evaluation.noisy,
      inputs: inputsOf(evaluation, size),
    }));
    // The last step ends at the picture, from where no jump leads back.
    const repetitions = index > 0 ? repetitionsOf(start) : 1;
    for (const [i, { label, seeds }] of batches.entries()) {
      const before = state[i]!;
      for (let repetition = 0; repetition < repetitions; repetition++) {
        const stream = (purpose: Parameters<typeof streamOf>[0], evaluation = 0): number =>
          streamOf(purpose, all - index, repetition, evaluation);
        // A step that is taken again remembers what it did the first time.
        let now = before;
        if (repetition > 0) now = { ...before, x: jumpBack(chain, index, state[i]!.x, draw(seeds, stream("jump"))) };
        for (const [evaluation, { program, noisy, inputs }] of given.entries()) {
          signal?.throwIfAborted();
          const drawn = noisy ? draw(seeds, stream("step", evaluation)) : silence;
          now = await program.run({ x: now.x, memory: now.memory, noise: drawn, label, ...inputs, ...small?.[i] });
        }
        if (start?.kind === "inpaint") {
          const known = noisedAt(chain, index - 1, pictures![i]!, draw(seeds, stream("known")));
          now = { ...now, x: blend(start.mask, now.x, known) };
        }
        state[i] = now;
      }
    }
    const gather = (name: "x" | "x0"): NDArray<"float32"> =>
      joined(
        state.map((batch) => batch[name]),
        run.seeds.length,
      );
    yield { step: done + 1, steps, x: gather("x"), x0: gather("x0") };
  }
}

/** The inputs of a program that depend on the evaluation alone, the same for all images of a batch. */
function inputsOf(
  { coefficients, numbers, scales = {} }: Evaluation & { readonly scales: Scales | undefined },
  size: number,
) {
  const filled = (values: Readonly<Record<string, number>>, count: number) =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, float32([count], new Float32Array(count).fill(value))]),
    );
  return {
    coefficients: coefficientColumns(new Array(size).fill(coefficients)),
    numbers: filled(numbers, size),
    scales: filled(scales, 1),
  };
}

/** Runs a sampling to its end; gives the pictures [N, C, H, W]. */
export async function collect(events: AsyncIterable<SampleEvent>): Promise<NDArray<"float32">> {
  let last: SampleEvent | undefined;
  for await (const event of events) last = event;
  return last!.x;
}

/** Throws UsageError unless an upsampler, and only an upsampler, is given as many small images as it enlarges, of its size. */
function checkLowRes({ denoiser, source }: Model, lowRes: NDArray | undefined, count: number): void {
  const small = denoiser && denoiserSignature(denoiser).lowRes;
  if (!small && lowRes)
    throw new UsageError(`sample: ${source} draws pictures from noise alone, so lowRes cannot be given; leave it out`);
  if (!small) return;
  const expected = show([count, ...small]);
  if (!lowRes)
    throw new UsageError(
      `sample: ${source} is an upsampler: it enlarges the pictures of another model (lowRes ${expected}), and none came; draw with that model and give this one as its upsampler`,
    );
  if (show(lowRes.shape) !== expected)
    throw new UsageError(
      `sample: ${source} enlarges small images lowRes ${expected}, one for each seed, but ${show(lowRes.shape)} came`,
    );
}
