import type { NoiseSchedule } from "../diffusion/noise-schedule.ts";
import { float32, int32, type NDArray, type Shape } from "../ndarray.ts";
import { makeRows, rowsOf } from "../runtime/batches.ts";
import type { inputsOf } from "./plan.ts";
import { blend, jumpBack, noisedAt, pureNoise, repetitionsOf, type Start, streamOf } from "./start.ts";
import type { StepProgram } from "./step-graph.ts";

/** What all batches of a drawing share. */
export interface Course {
  readonly seeds: readonly number[];
  readonly labels?: readonly number[];
  readonly lowRes?: NDArray<"float32">;
  readonly start?: Start;
  /** Of one image. */
  readonly shape: Shape;
  /** The levels that are visited, and the number of levels of a drawing from pure noise. */
  readonly schedule: NoiseSchedule;
  readonly all: number;
  /** Names of what solver and predictor remember. */
  readonly memory: readonly string[];
  readonly remembered: readonly string[];
  readonly noise: (seed: number, stream: number, count: number) => Float32Array;
  readonly signal?: AbortSignal;
}

/** An evaluation with its program and what that is given for every batch. */
export interface Ready {
  readonly run: StepProgram["run"];
  readonly noisy: boolean;
  readonly inputs: ReturnType<typeof inputsOf>;
}

/** What a program leaves of one evaluation for the next. */
type Images = Awaited<ReturnType<StepProgram["run"]>>;

/** The images of one batch on their way from noise to pictures. */
export class ImageBatch {
  private readonly course: Course;
  private readonly seeds: readonly number[];
  /** Inputs that stay the same: labels and small images. */
  private readonly given: { readonly label?: NDArray<"int32">; readonly lowRes?: NDArray<"float32"> };
  /** What `start` begins with: pictures or latents. */
  private readonly picture: NDArray<"float32"> | undefined;
  private readonly zeros: NDArray<"float32">;
  private images: Images;

  constructor(course: Course, indices: readonly number[]) {
    const { seeds, labels, lowRes, start, shape, schedule, all } = course;
    const size = indices.length;
    this.course = course;
    this.seeds = indices.map((i) => seeds[i]!);
    this.given = {
      ...(labels && {
        label: int32(
          [size],
          indices.map((i) => labels[i % labels.length]!),
        ),
      }),
      ...(lowRes && { lowRes: rowsOf(lowRes, indices) }),
    };
    this.picture = start && rowsOf(start.kind === "latents" ? start.x : start.x0, indices);
    this.zeros = float32([size, ...shape]);
    const nothing = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, this.zeros]));
    const steps = schedule.levels.length;
    const first = (): NDArray<"float32"> => {
      if (start?.kind === "latents") return this.picture!;
      const noise = this.noise(0);
      return steps < all ? noisedAt(schedule, steps - 1, this.picture!, noise) : pureNoise(schedule, noise);
    };
    const [memory, remembered] = [nothing(course.memory), nothing(course.remembered)];
    this.images = { x: first(), x0: this.zeros, memory, remembered };
  }

  get x(): NDArray<"float32"> {
    return this.images.x;
  }
  get x0(): NDArray<"float32"> {
    return this.images.x0;
  }

  /** Standard normal noise of a stream, each image's of its own seed. */
  private noise(stream: number): NDArray<"float32"> {
    const { noise, shape } = this.course;
    return makeRows(this.seeds, shape, (seed, size) => noise(seed, stream, size));
  }

  /** Takes the step from level `index` of the schedule to the one below; inpainting takes it `resample` times. */
  async step(index: number, evaluations: readonly Ready[]): Promise<void> {
    const { start, schedule, all, signal } = this.course;
    const before = this.images;
    // The last step ends at the picture, from where no jump leads back.
    const repetitions = index > 0 ? repetitionsOf(start) : 1;
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const noise = (purpose: Parameters<typeof streamOf>[0], evaluation = 0): NDArray<"float32"> =>
        this.noise(streamOf(purpose, all - index, repetition, evaluation));
      // A step that is taken again remembers what it did the first time.
      if (repetition > 0) this.images = { ...before, x: jumpBack(schedule, index, this.x, noise("jump")) };
      for (const [evaluation, { run, noisy, inputs }] of evaluations.entries()) {
        signal?.throwIfAborted();
        const { x, memory, remembered } = this.images;
        const drawn = noisy ? noise("step", evaluation) : this.zeros;
        this.images = await run({ x, memory, remembered, noise: drawn, ...inputs, ...this.given });
      }
      if (start?.kind === "inpaint") {
        const known = noisedAt(schedule, index - 1, this.picture!, noise("known"));
        this.images = { ...this.images, x: blend(start.mask, this.x, known) };
      }
    }
  }
}
