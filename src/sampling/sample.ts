import { checkSameNoise, type Model, networkShapes } from "../checkpoint/model.ts";
import type { DenoiserRecord } from "../checkpoint/schema.ts";
import { coefficientSpecs, coefficients, makeChain } from "../diffusion/chain.ts";
import { ModelError, UsageError } from "../errors.ts";
import { guide } from "../guidance/guide.ts";
import { encoderUnet } from "../models/classifier.ts";
import { superResUnet } from "../models/super-resolution.ts";
import { unet } from "../models/unet.ts";
import { float32, int32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { normals } from "../random.ts";
import type { Backend } from "../runtime/backend.ts";
import { compile } from "../runtime/compile.ts";
import { show } from "../tensor/shape.ts";
import { f32, i32, type Spec, trace } from "../tensor/trace.ts";
import { respacingOf, samplerKinds } from "./sampler.ts";
import { type Run, type RunOptions, settle } from "./settings.ts";
import { blend, checkStart, jumpBack, noisedAt, repetitionsOf, type Start, stepsFrom, streamOf } from "./start.ts";
import type { Step } from "./step.ts";

export interface SampleOptions extends RunOptions {
  /** What to start from in place of noise: latents that `encode` found, or a picture to change or to complete. */
  readonly start?: Start;
  /** For an upsampler: the small image of each seed, [N, C, h, w] in [-1, 1]. */
  readonly lowRes?: NDArray<"float32">;
  /** Where to run; by default a backend on the CPU, for as long as the sampling takes. */
  readonly backend?: Backend;
  /** Ends the sampling before the next run of the program: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Source of noise: `count` draws of N(0, 1) for the image of a seed, stream 0 to start with and stream k at step k; above 2^24 for inpainting. */
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
 * once for each step and batch. An upsampler draws the large pictures of small ones, `lowRes`; `cascade` gives it those of another model.
 *
 * @throws UsageError for options that the model cannot serve, and for small images that are missing or of another shape than an upsampler's; ModelError where it has no denoiser, or its classifier knows other noise
 */
export async function* sample(model: Model, options: SampleOptions): AsyncGenerator<SampleEvent, void, undefined> {
  const { signal, noise = normals } = options;
  const run = settle(model, options);
  const { process } = denoiserOf(model);
  const { start } = options;
  checkLowRes(model, options.lowRes, run.seeds.length);
  checkStart(start, model, run.seeds.length);
  const chain = makeChain(process, respacingOf(run.sampler.steps));
  const all = chain.timesteps.length;
  const steps = stepsFrom(start, all);
  const eta = run.sampler.kind === "ddim" ? run.sampler.eta : 0;
  const deterministic = run.sampler.kind === "ddim" && eta === 0;

  const batches = split(run);
  const size = batches[0]!.seeds.length;
  const shape = [size, ...model.imageShape];
  const graph = stepGraph(model, run, size);
  signal?.throwIfAborted();
  await using ownBackend = options.backend ? undefined : await openDefaultBackend();
  await using program = await compile(graph, (options.backend ?? ownBackend)!, { bind: boundWeights(model, run) });

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
  let xs = batches.map(({ seeds }, i) => {
    if (start?.kind === "latents") return pictures![i]!;
    const noisy = draw(seeds, 0);
    return steps < all ? noisedAt(chain, steps - 1, pictures![i]!, noisy) : noisy;
  });
  for (let step = 1; step <= steps; step++) {
    const index = steps - step;
    const c = coefficients(chain, new Array<number>(size).fill(index), { eta });
    // The last step ends at the picture, from where no jump leads back.
    const repetitions = index > 0 ? repetitionsOf(start) : 1;
    const results: { x: NDArray<"float32">; x0: NDArray<"float32"> }[] = [];
    for (const [i, { label, seeds }] of batches.entries()) {
      let x = xs[i]!;
      let x0 = x;
      for (let repetition = 0; repetition < repetitions; repetition++) {
        signal?.throwIfAborted();
        const stream = (purpose: Parameters<typeof streamOf>[0]): number => streamOf(purpose, all - index, repetition);
        if (repetition > 0) x = jumpBack(chain, index, x, draw(seeds, stream("jump")));
        const drawn = deterministic ? silence : draw(seeds, stream("step"));
        ({ x, x0 } = await program.run({ x, noise: drawn, coefficients: c, label, ...small?.[i] }));
        if (start?.kind === "inpaint")
          x = blend(start.mask, x, noisedAt(chain, index - 1, pictures![i]!, draw(seeds, stream("known"))));
      }
      results.push({ x, x0 });
    }
    xs = results.map(({ x }) => x);
    const x0s = results.map(({ x0 }) => x0);
    yield { step, steps, x: joined(xs, run.seeds.length), x0: joined(x0s, run.seeds.length) };
  }
}

/** Runs a sampling to its end; gives the pictures [N, C, H, W]. */
export async function collect(events: AsyncIterable<SampleEvent>): Promise<NDArray<"float32">> {
  let last: SampleEvent | undefined;
  for await (const event of events) last = event;
  return last!.x;
}

/** One step of all images of a batch as a graph: x_t, noise, coefficients, labels, small images where it upsamples, and weights to the next x and the expected image. */
export function stepGraph(
  model: Omit<Model, "weights">,
  { guidance, sampler, clip }: Run,
  batch: number,
  step: Step = samplerKinds[sampler.kind].step,
) {
  const denoiser = denoiserOf(model);
  const { config, lowResolution: side, process } = denoiser;
  const classifier = guidance.classifier === 0 ? undefined : model.classifier;
  if (classifier) checkSameNoise(model);
  const { form } = samplerKinds[sampler.kind];
  const images = f32(batch, ...model.imageShape);
  const specs = {
    x: images,
    noise: images,
    coefficients: coefficientSpecs(batch),
    label: i32(batch),
    ...(side !== undefined && { lowRes: f32(batch, config.inChannels, side, side) }),
    denoiser: specsOf(networkShapes({ name: "denoiser", ...denoiser })),
    classifier: classifier ? specsOf(networkShapes({ name: "classifier", config: classifier.config })) : {},
  };
  return trace(specs, ({ x, noise, coefficients, label, lowRes, ...weights }) => {
    const plain = unet(config);
    const enlarge = superResUnet(config);
    const classify = classifier && encoderUnet(classifier.config);
    const predictor = guide(
      {
        denoiser: (x, t, condition) => {
          const y = config.numClasses === undefined ? undefined : condition.label;
          return condition.lowRes
            ? enlarge(weights.denoiser, x, t, condition.lowRes, y)
            : plain(weights.denoiser, x, t, y);
        },
        process,
        ...(config.nullLabel && { nullLabel: config.numClasses! }),
        ...(classify && { classifier: (x, t) => classify(weights.classifier, x, t) }),
      },
      { ...guidance, form, clip },
    );
    const { x: next, x0 } = step(predictor, {
      x,
      noise,
      coefficients,
      condition: { label, ...(lowRes && { lowRes }) },
    });
    return { x: next, x0 };
  });
}

export function denoiserOf({ denoiser, source }: Pick<Model, "denoiser" | "source">): DenoiserRecord {
  if (denoiser) return denoiser;
  throw new ModelError(`${source}: the model has no denoiser to draw with; \`guidestar train denoiser\` adds one`);
}

export const boundWeights = ({ weights }: Model, { guidance }: Run) => ({
  denoiser: weights.denoiser ?? {},
  classifier: guidance.classifier === 0 ? {} : (weights.classifier ?? {}),
});

const specsOf = (shapes: Readonly<Record<string, Shape>>): Record<string, Spec<"float32">> =>
  Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, f32(...shape)]));

/** Throws UsageError unless an upsampler, and only an upsampler, is given as many small images as it enlarges, of its size. */
function checkLowRes({ denoiser, imageShape, source }: Model, lowRes: NDArray | undefined, count: number): void {
  const side = denoiser?.lowResolution;
  if (side === undefined && lowRes)
    throw new UsageError(`sample: ${source} draws pictures from noise alone, so lowRes cannot be given; leave it out`);
  if (side === undefined) return;
  const expected = show([count, imageShape[0], side, side]);
  if (!lowRes)
    throw new UsageError(
      `sample: ${source} is an upsampler: it enlarges the pictures of another model (lowRes ${expected}), and none came; draw with that model and give this one as its upsampler`,
    );
  if (show(lowRes.shape) !== expected)
    throw new UsageError(
      `sample: ${source} enlarges small images lowRes ${expected}, one for each seed, but ${show(lowRes.shape)} came`,
    );
}

/** The images of a batch [N, ...] at these places. */
export function rowsOf(
  { shape: [, ...rest], data }: NDArray<"float32">,
  indices: readonly number[],
): NDArray<"float32"> {
  const count = sizeOf(rest);
  const values = new Float32Array(indices.length * count);
  for (const [i, index] of indices.entries()) values.set(data.subarray(index * count, (index + 1) * count), i * count);
  return float32([indices.length, ...rest], values);
}

export interface Batch {
  /** Places of its images among all. */
  readonly indices: readonly number[];
  readonly seeds: readonly number[];
  readonly label: NDArray<"int32">;
}

/** Batches of one size, as equal as they can be; the last image is drawn again where the last batch has room left. */
export function split({ seeds, labels, batch }: Pick<Run, "seeds" | "labels" | "batch">): Batch[] {
  const count = Math.ceil(seeds.length / batch);
  const size = Math.ceil(seeds.length / count);
  return Array.from({ length: count }, (_, n) => {
    const indices = Array.from({ length: size }, (_, i) => Math.min(n * size + i, seeds.length - 1));
    return {
      indices,
      seeds: indices.map((i) => seeds[i]!),
      label: int32(
        [size],
        indices.map((i) => labels[i]!),
      ),
    };
  });
}

/** The first `count` images of batches one after the other. */
export function joined(batches: readonly NDArray<"float32">[], count: number): NDArray<"float32"> {
  const [first] = batches;
  if (batches.length === 1) return first!;
  const shape = [count, ...first!.shape.slice(1)];
  const values = new Float32Array(sizeOf(shape));
  let at = 0;
  for (const { data } of batches) {
    values.set(data.subarray(0, values.length - at), at);
    at += data.length;
  }
  return float32(shape, values);
}

/** Loaded only where no backend is given; bundlers for browsers put the one of the web in its place. */
export const openDefaultBackend = async (): Promise<Backend> => (await import("../runtime/node.ts")).openBackend();
