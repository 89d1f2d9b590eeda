import type { Split } from "../data/content.ts";
import type { ProcessConfig } from "../diffusion/noise-schedule.ts";
import { ddpmProcess, edmProcess } from "../diffusion/process-config.ts";
import type { NetworkRole } from "../models/family.ts";
import { valueOfByte } from "../pixel-range.ts";
import type { Budget } from "../training/pace.ts";

/** What is known of images before anything is trained on them. */
export interface ImagesToLearn {
  /** How many there are. */
  readonly images: number;
  /** [C, H, W] */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** Root of the mean square of their values, -1 to 1. */
  readonly deviation: number;
}

/** What is known of a split; the deviation is that of a thousand of its images, in hundredths. */
export function imagesToLearn({ count, shape, images }: Split): ImagesToLearn {
  const size = shape[0] * shape[1] * shape[2];
  const taken = Math.min(count, 1000);
  let sum = 0;
  for (let n = 0; n < taken; n++) {
    const from = Math.floor((n * count) / taken) * size;
    for (let i = from; i < from + size; i++) sum += valueOfByte(images[i]!) ** 2;
  }
  const deviation = Math.max(0.05, Math.round(100 * Math.sqrt(sum / Math.max(1, taken * size))) / 100);
  return { images: count, imageShape: shape, deviation };
}

/** With fewer images each is worth more to the network than its loss would be to whoever watches it. */
const enoughToHoldOut = 200;

/** Share of images that are held out where a data set has no test images. */
export const usualHeldOut = (images: number): number => (images < enoughToHoldOut ? 0 : 0.05);

/** A training for images of which nothing is asked: network, noise, batch, rate and length. */
export interface UsualTraining {
  /** Size of the network of the usual family. */
  readonly preset: string;
  readonly process: ProcessConfig;
  readonly batchSize: number;
  readonly learningRate: number;
  /** Updates, or minutes. */
  readonly length: Budget;
}

/** Images of less than this side are trained on as ever: nothing else has been measured there. */
const leastSide = 16;

/** Above this side networks work on patches: on pixels a step would take too long, which has not been measured against each other there. */
const mostSideOfPixels = 48;

/** Lengths of trainings, in minutes: one says these. */
const lengths = [10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480] as const;

/**
 * Minutes for images: those of 32x32 take 20 for up to 300, twice as many for four times as many images; and as many times longer as they have
 * pixels more. At least ten, at most eight hours.
 */
export function usualMinutes({ images, imageShape: [, height, width] }: ImagesToLearn): number {
  const wanted = 20 * Math.sqrt(Math.max(1, images / 300)) * ((height * width) / 32 ** 2);
  return lengths.reduce((best, each) =>
    Math.abs(Math.log(each / wanted)) < Math.abs(Math.log(best / wanted)) ? each : best,
  );
}

function usualPreset(height: number, width: number): string {
  if (height % 2 !== 0 || width % 2 !== 0) return "small";
  return Math.max(height, width) <= mostSideOfPixels ? "deep" : "patch-small";
}

/**
 * How a network of a role is trained on images of which nothing more is asked. `npm run bench -- quality` chose network
 * and noise on images of 32x32 (docs/training.md): a UNet with few channels where there are many pixels, and EDM's noise for images of that
 * deviation, in small batches. Of larger images with even sides a UNet works on patches of 2x2 pixels. A classifier is trained a third as long, on
 * the noise of its denoiser.
 */
export function usualTraining(role: NetworkRole, about: ImagesToLearn): UsualTraining {
  const { imageShape } = about;
  const [, height, width] = imageShape;
  const isDenoiser = role === "denoiser";
  if (Math.min(height, width) < leastSide)
    return {
      ...{ preset: "small", batchSize: 64, learningRate: 1e-3 },
      process: ddpmProcess(isDenoiser ? { variance: "learned-range" } : {}),
      length: { steps: isDenoiser ? 20_000 : 6000 },
    };
  const minutes = usualMinutes(about);
  return {
    preset: usualPreset(height, width),
    process: edmProcess({ sigmaData: about.deviation }),
    batchSize: isDenoiser ? 32 : 64,
    learningRate: 1e-3,
    length: { minutes: isDenoiser ? minutes : Math.max(lengths[0], minutes / 3) },
  };
}
