import type { Model } from "../../checkpoint/model.ts";
import type { DenoiserRecord } from "../../checkpoint/schema.ts";
import { coefficientSpecs, coefficients, type NoiseSchedule, noiseSchedule } from "../../diffusion/noise-schedule.ts";
import { networkInput } from "../../diffusion/process.ts";
import { ModelError, UsageError } from "../../errors.ts";
import { denoiserNetwork, denoiserSignature } from "../../models/families.ts";
import { int32, type NDArray } from "../../ndarray.ts";
import { parameterSpecs } from "../../nn/module.ts";
import { normals } from "../../random.ts";
import type { Backend } from "../../runtime/backend.ts";
import { batchesOf, evenSize, makeRows } from "../../runtime/batches.ts";
import { compile } from "../../runtime/compile.ts";
import { openEngine } from "../../runtime/engine.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { f32, i32, trace } from "../../tensor/trace.ts";
import { boundTerms } from "./terms.ts";

/** Images that a bound is wanted for. */
export interface ImageSource {
  readonly count: number;
  /** Images [N, C, H, W] in [-1, 1], multiples of 1 / 127.5 from -1, at these positions 0 ... count - 1, and their labels [N]. */
  readonly take: (positions: readonly number[]) => {
    readonly x: NDArray<"float32">;
    /** Read only where the denoiser is told a class. */
    readonly y?: NDArray<"int32">;
  };
}

/** Settings of `variationalBound`. */
export interface BoundOptions {
  /** Timesteps to keep, as `spaceTimesteps` reads it; the bound is that of the shorter chain. All by default. */
  readonly respacing?: string;
  /** Limit predicted images to [-1, 1]; on by default. */
  readonly clip?: boolean;
  /** Most images at a time; the terms don't depend on it but for rounding. Default 16. */
  readonly batchSize?: number;
  /** Seed of the noise. Default 0. */
  readonly seed?: number;
  /** Where to run; by default a backend on the CPU, for as long as it takes. */
  readonly backend?: Backend;
  /** Ends the work before the next run of the program: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Source of noise: `count` draws of N(0, 1) for the image at a position and a timestep of the original chain. */
  readonly noise?: (position: number, timestep: number, count: number) => Float32Array;
}

/** The terms of one timestep for the images of one batch, each array one number per image. */
export interface BoundEvent {
  /** 1 ... runs: how many runs of the program are done. */
  readonly run: number;
  /** Runs of the program in all. */
  readonly runs: number;
  /** Positions of the images. */
  readonly positions: readonly number[];
  /** Place in the chain, 0 the least noisy; a batch goes through it from the noisiest. */
  readonly index: number;
  /** The same in the original chain. */
  readonly timestep: number;
  /** Term of the bound, bits per dimension: KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), at index 0 -log p(x_0 | x_1). */
  readonly vb: Float32Array;
  /** Mean squared error of the predicted image. */
  readonly xstartMse: Float32Array;
  /** Mean squared error of the noise that belongs to the predicted image. */
  readonly mse: Float32Array;
  /** KL(q(x_T | x_0) || N(0, 1)), bits per dimension; the same at every timestep. */
  readonly prior: Float32Array;
}

/**
 * Terms of the variational bound on -log p(x_0), Eq. 4-7, Nichol & Dhariwal 2021: one program, run once for each timestep and batch,
 * with one draw of x_t for each image and timestep.
 *
 * @throws UsageError for options that cannot be, or a model that needs labels and gets none; ModelError where the model has no
 *   denoiser, one that needs more than the image, or one that answers with what is no number
 */
export async function* variationalBound(
  model: Model,
  images: ImageSource,
  options: BoundOptions = {},
): AsyncGenerator<BoundEvent, void, undefined> {
  const { clip = true, batchSize = 16, seed = 0, signal } = options;
  const denoiser = denoiserOf(model);
  if (images.count < 1) throw new UsageError("the variational bound needs at least one image but there are none");
  const chain = noiseSchedule(denoiser.process, options.respacing);
  const { timesteps } = chain;
  // A stream for each image and timestep: an image's noise depends neither on the batch nor on the steps that are kept.
  const { noise = (position, timestep, count) => normals(seed, position * denoiser.process.steps + timestep, count) } =
    options;

  const size = evenSize(images.count, batchSize);
  const batches = batchesOf(images.count, size);
  signal?.throwIfAborted();
  await using ownBackend = options.backend ? undefined : await openEngine();
  const graph = boundGraph(model, chain, { batchSize: size, clip });
  await using program = await compile(graph, options.backend ?? ownBackend!, {
    bind: { denoiser: model.weights.denoiser ?? {} },
  });

  const runs = batches.length * timesteps.length;
  let run = 0;
  for (const { indices, count } of batches) {
    const positions = indices.slice(0, count);
    const { x: x0, y } = images.take(indices);
    const label = labelsFor(denoiser, y, size);
    for (let index = timesteps.length - 1; index >= 0; index--) {
      signal?.throwIfAborted();
      const timestep = timesteps[index]!;
      const terms = await program.run({
        x0,
        noise: makeRows(indices, model.imageShape, (position, pixels) => noise(position, timestep, pixels)),
        coefficients: coefficients(chain, new Array<number>(size).fill(index)),
        label,
      });
      const counted = ({ data }: NDArray<"float32">): Float32Array => data.slice(0, count);
      const vb = counted(terms.vb);
      checkFinite(vb, model, timestep);
      yield {
        run: ++run,
        runs,
        positions,
        index,
        timestep,
        vb,
        xstartMse: counted(terms.xstartMse),
        mse: counted(terms.mse),
        prior: counted(terms.prior),
      };
    }
  }
}

function checkFinite(vb: Float32Array, { source }: Model, timestep: number): void {
  const bad = vb.find((value) => !Number.isFinite(value));
  if (bad !== undefined)
    throw new ModelError(
      `${source}: the bound's term at timestep ${timestep} is ${bad}; the training that made the weights had failed, or the images are outside [-1, 1]`,
    );
}

/** All terms of one timestep as a graph: images [N, C, H, W], noise, coefficients, labels and weights to numbers [N]. */
function boundGraph(
  model: Omit<Model, "weights">,
  chain: NoiseSchedule,
  { batchSize, clip }: { readonly batchSize: number; readonly clip: boolean },
) {
  const network = denoiserNetwork(denoiserOf(model));
  const images = f32(batchSize, ...model.imageShape);
  const specs = {
    x0: images,
    noise: images,
    coefficients: coefficientSpecs(batchSize),
    label: i32(batchSize),
    denoiser: parameterSpecs(network),
  };
  return trace(specs, ({ x0, noise, coefficients: c, label, denoiser }) => {
    const denoise = (xt: Tensor) =>
      network(denoiser, networkInput(xt, c.timestep, chain.config), c.timestep, { label });
    return boundTerms(denoise, c, { x0, noise, chain, clip });
  });
}

function denoiserOf({ denoiser, source }: Pick<Model, "denoiser" | "source">): DenoiserRecord {
  if (!denoiser)
    throw new ModelError(
      `${source}: the model has no denoiser, and without one there is no bound; \`guidestar train denoiser\` adds one`,
    );
  if (denoiser.process.consistency)
    throw new ModelError(
      `${source}: this model is a student, which tells where the flow ends and not what the steps to it are, so it gives no likelihood; give its teacher`,
    );
  if (denoiserSignature(denoiser).lowRes)
    throw new ModelError(
      `${source}: this denoiser enlarges low-resolution images, so it gives no likelihood of images alone; give the model that draws them`,
    );
  return denoiser;
}

function labelsFor(record: DenoiserRecord, y: NDArray<"int32"> | undefined, size: number): NDArray<"int32"> {
  const { classes, nullLabel } = denoiserSignature(record);
  if (classes === undefined) return int32([size]);
  if (!y) throw new UsageError(`this denoiser is told one of ${classes} classes; give the images' labels`);
  const largest = nullLabel ?? classes - 1;
  const bad = y.data.find((label) => label < 0 || label > largest);
  if (bad !== undefined) throw new UsageError(`labels must be whole numbers from 0 to ${largest} but one is ${bad}`);
  return y;
}
