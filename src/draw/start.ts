import type { NoiseSchedule } from "../diffusion/noise-schedule.ts";
import { UsageError } from "../errors.ts";
import { float32, type NDArray, type Shape, sizeOf } from "../ndarray.ts";
import { show } from "../tensor/shape.ts";

/** What a sampling starts from, where that is not noise alone; x and x0 are [N, C, H, W], one image for each seed. */
export type Start =
  /** Noise that `encode` found: decoded by DDIM with eta 0 and the same steps it gives the picture again, or as another class an edited one. */
  | { readonly kind: "latents"; readonly x: NDArray<"float32"> }
  /**
   * Image to image (Meng et al. 2022, SDEdit): the picture x0 with the noise of the last floor(strength steps) steps, which are then
   * taken. `strength` above 0, to 1, which is sampling from noise alone.
   */
  | { readonly kind: "picture"; readonly x0: NDArray<"float32">; readonly strength: number }
  /**
   * Inpainting (Lugmayr et al. 2022, RePaint, algorithm 1): pixels [H, W] where `mask` is 1 are drawn, those where it is 0 stay as in
   * x0. Each step is taken `resample` times, 1 by default, with a jump back in between, so that what is drawn fits what is known.
   */
  | {
      readonly kind: "inpaint";
      readonly x0: NDArray<"float32">;
      readonly mask: NDArray<"float32">;
      readonly resample?: number;
      /** As of a picture; 1 by default. */
      readonly strength?: number;
    };

/** Most repetitions of a step: their noise has streams between those of the steps and of the purposes. */
const mostResample = 1000;

/** What noise is for; each has streams of its own, so that no two read the same numbers. */
const purposes = { step: 0, known: 1, jump: 2 } as const;

/**
 * The stream of the noise for a purpose at a step, 1 ... T, the repetition of it, from 0, and the evaluation within it, from 0: those
 * after the first follow the purposes. Plain sampling has stream = step.
 */
export const streamOf = (purpose: keyof typeof purposes, step: number, repetition: number, evaluation = 0): number =>
  (evaluation > 0 ? Object.keys(purposes).length - 1 + evaluation : purposes[purpose]) * 2 ** 40 +
  repetition * 2 ** 24 +
  step;

/** How often each step is taken. */
export const repetitionsOf = (start: Start | undefined): number =>
  start?.kind === "inpaint" ? (start.resample ?? 1) : 1;

/** How many of a schedule's steps are taken. Throws UsageError for a strength outside (0, 1] or too small for a single step. */
export function stepsFrom(start: Start | undefined, steps: number): number {
  if (!start || start.kind === "latents") return steps;
  const { strength = 1 } = start;
  if (!(strength > 0 && strength <= 1))
    throw new UsageError(
      `sample: strength must be above 0, which keeps the picture, and at most 1, which keeps nothing, but is ${strength}`,
    );
  // 0.58 * 50 is a little less than 29.
  const taken = Math.floor(strength * steps + 1e-9);
  if (taken === 0)
    throw new UsageError(
      `sample: strength ${strength} of ${steps} steps is less than one step; give at least ${(1 / steps).toPrecision(2)}, or more steps`,
    );
  return taken;
}

/** What `checkStart` has to know of a drawing. */
interface Drawn {
  /** Of one image. */
  readonly shape: Shape;
  readonly count: number;
  /** What draws, for messages. */
  readonly source: string;
}

/** Throws UsageError unless there is one image of the right shape for each seed, and the mask fits them. */
export function checkStart(start: Start | undefined, { shape, count, source }: Drawn): void {
  if (!start) return;
  const given = start.kind === "latents" ? start.x : start.x0;
  const what = start.kind === "latents" ? "latents" : "pictures";
  const expected = show([count, ...shape]);
  if (show(given.shape) !== expected)
    throw new UsageError(
      `sample: ${source} starts from ${what} ${expected}, one for each seed, but ${show(given.shape)} came`,
    );
  if (!given.data.every(Number.isFinite))
    throw new UsageError(`sample: the ${what} to start from hold values that are no numbers`);
  if (start.kind !== "inpaint") return;
  const { mask, resample = 1 } = start;
  const plane = show(shape.slice(1));
  if (show(mask.shape) !== plane)
    throw new UsageError(`sample: the mask of ${source} must be ${plane}, as its pictures, but is ${show(mask.shape)}`);
  if (!mask.data.every((value) => value === 0 || value === 1))
    throw new UsageError("sample: a mask holds 1 where pixels are drawn and 0 where they are known, nothing else");
  if (!Number.isInteger(resample) || resample < 1 || resample > mostResample)
    throw new UsageError(`sample: resample must be a whole number from 1 to ${mostResample} but is ${resample}`);
}

/** a x + b y, in float64, rounded once. */
export const mixed = (a: number, x: NDArray<"float32">, b: number, y: NDArray<"float32">): NDArray<"float32"> =>
  float32(
    x.shape,
    x.data.map((value, i) => a * value + b * y.data[i]!),
  );

/** A picture with the noise of a level of the schedule; index -1 is the picture itself. Eq. 4, Ho et al. 2020. */
export const noisedAt = (
  { tables }: NoiseSchedule,
  index: number,
  x0: NDArray<"float32">,
  noise: NDArray<"float32">,
): NDArray<"float32"> => (index < 0 ? x0 : mixed(tables.alpha[index]!, x0, tables.sigma[index]!, noise));

/** Noise as the images of the top level: of their root mean square, where pixels are -1 and 1. */
export function pureNoise({ levels }: NoiseSchedule, noise: NDArray<"float32">): NDArray<"float32"> {
  const { alpha, sigma } = levels.at(-1)!;
  return mixed(Math.hypot(alpha, sigma), noise, 0, noise);
}

/** One step of the forward process, from x at index - 1 to index: RePaint's jump back. Eq. 2, Ho et al. 2020. */
export const jumpBack = (
  { betas, tables }: NoiseSchedule,
  index: number,
  x: NDArray<"float32">,
  noise: NDArray<"float32">,
): NDArray<"float32"> => mixed(tables.alpha[index]! / tables.alphaPrevious[index]!, x, Math.sqrt(betas[index]!), noise);

/** Drawn pixels [N, C, H, W] where the mask [H, W] is 1, known ones where it is 0. */
export function blend(
  mask: NDArray<"float32">,
  drawn: NDArray<"float32">,
  known: NDArray<"float32">,
): NDArray<"float32"> {
  const area = sizeOf(mask.shape);
  return float32(
    drawn.shape,
    drawn.data.map((value, i) => (mask.data[i % area] === 1 ? value : known.data[i]!)),
  );
}
