import { counted } from "../../counted.ts";
import { gather } from "../../data/batches.ts";
import type { Split } from "../../data/content.ts";
import { DataError } from "../../errors.ts";
import { type Copies, type CopyDetector, copiesAmong, copyDetector } from "../../evaluation/copying.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { pixelDetector } from "../../evaluation/detectors/pixel-detector.ts";
import { collectFeatures, features } from "../../evaluation/features.ts";
import type { Matrix } from "../../evaluation/metrics/matrix.ts";
import { grid } from "../../images/grid.ts";
import type { Image } from "../../images/image.ts";
import { toUint8 } from "../../images/planes.ts";
import { encodePng } from "../../images/png.ts";
import type { NDArray } from "../../ndarray.ts";
import { openDetector, type Surroundings } from "./sources.ts";

/** Most training images that samples are compared with: pixels of so many take 150 MB. */
const most = 50_000;

/** What one way of seeing says of copies. */
export interface CopyReport extends Copies {
  /** What was compared: pixels, or the name of a detector. */
  readonly by: string;
  readonly detector: CopyDetector;
}

/** Looks for copies of training images, by their pixels and by what detectors see in them. */
export interface CopySearch extends AsyncDisposable {
  /** Images that samples are compared with. */
  readonly compared: number;
  /** What each way says, pixels last. Images [N, C, H, W]. */
  look(images: NDArray<"float32">): Promise<CopyReport[]>;
  /** The training images of these numbers, as pairs have them. */
  trainingImages(numbers: readonly number[]): NDArray<"float32">;
}

/**
 * Sees all training images, and the held-out ones. Gives undefined where there are too few to tell anything. The detectors stay the caller's.
 */
export async function openCopySearch(
  training: Split,
  heldOut: Split | undefined,
  detectors: readonly Detector[],
  around: Surroundings,
): Promise<CopySearch | undefined> {
  const { backend, signal } = around;
  const pixels = await pixelDetector({ imageShape: training.shape, backend });
  const kept = Math.min(training.count, most);
  // Evenly spread: images of a class often lie side by side.
  const numbers = Array.from({ length: kept }, (_, i) => Math.floor((i * training.count) / kept));
  const ways: { readonly see: Detector; readonly found: CopyDetector }[] = [];
  try {
    for (const see of [...detectors, pixels]) {
      const seen = await seeAll(training, numbers, see, around);
      const held = heldOut && (await seeAll(heldOut, Array.from(heldOut.labels.keys()), see, around));
      const found = await copyDetector(seen, held, { backend, signal });
      if (found) ways.push({ see, found });
    }
  } catch (error) {
    await pixels[Symbol.asyncDispose]();
    throw error;
  }
  if (ways.length === 0) {
    await pixels[Symbol.asyncDispose]();
    return undefined;
  }
  return {
    compared: kept,
    async look(images) {
      const reports: CopyReport[] = [];
      for (const { see, found } of ways) {
        const { features: samples } = await collectFeatures(features(images, see, { signal }));
        const copies = await copiesAmong(samples, found, { backend, signal });
        reports.push({ by: see.name, detector: found, ...copies });
      }
      return reports;
    },
    trainingImages: (chosen) =>
      gather(
        training,
        chosen.map((i) => numbers[i]!),
      ).x,
    [Symbol.asyncDispose]: () => pixels[Symbol.asyncDispose](),
  };
}

/**
 * The detector that samples are compared by beside pixels, where one is asked for. Throws as `openDetector` does, and DataError where it sees
 * images of another shape.
 */
export async function comparingDetector(
  name: string | undefined,
  imageShape: Split["shape"],
  { backend }: Surroundings,
): Promise<Detector | undefined> {
  if (name === undefined) return undefined;
  const detector = await openDetector(name, imageShape, backend);
  if (detector.imageShape === undefined || detector.imageShape.join() === imageShape.join()) return detector;
  await detector[Symbol.asyncDispose]();
  throw new DataError(
    `--detector ${name} sees images [${detector.imageShape}] but these are [${imageShape}]; \`guidestar train detector\` makes one for them`,
  );
}

/** Images seen at a time. */
const together = 64;

async function seeAll(
  split: Split,
  numbers: readonly number[],
  detector: Detector,
  around: Surroundings,
): Promise<Matrix> {
  function* batches(): Generator<NDArray<"float32">> {
    for (let start = 0; start < numbers.length; start += together) {
      yield gather(split, numbers.slice(start, start + together)).x;
      around.shown.update(
        Math.min(start + together, numbers.length),
        numbers.length,
        `images that samples are compared with, by ${detector.name}`,
      );
    }
  }
  const seen = await collectFeatures(features(batches(), detector, { batchSize: together, signal: around.signal }));
  around.shown.end();
  return seen.features;
}

const percent = (share: number): string => `${Math.round(100 * share)}%`;

/** "7 of 20 samples by pixels, 3 by digits". */
export function countCopies(reports: readonly CopyReport[]): string {
  const counts = reports.map(({ by, pairs }, i) => {
    const copies = pairs.filter(({ copy }) => copy).length;
    return i === 0 ? `${copies} of ${counted(pairs.length, "sample")} by ${by}` : `${copies} by ${by}`;
  });
  return counts.join(", ");
}

/** What is known of copies: a table. */
export function describeCopies(reports: readonly CopyReport[]): string {
  const [{ detector }] = reports as [CopyReport];
  const real = detector.heldOut ? "held-out images" : "training images, each compared with all others";
  const rows = reports.map(
    ({ by, share, copying }) =>
      `copies by ${by}`.padEnd(26) + percent(share).padEnd(12) + (copying ? "copying" : "as real images"),
  );
  return [
    `${countCopies(reports)} are nearer to a training image than real images are, of which ${percent(detector.expected)} would count (${detector.real} ${real})`,
    ...rows,
    "",
  ].join("\n");
}

/** The same as JSON has it. */
export const copiesJson = (reports: readonly CopyReport[]) =>
  reports.map(({ by, share, copying, pairs, detector: { near, relative, expected, real, heldOut, training } }) => ({
    ...{ by, share, copying, near, relative, expected, real, heldOut, training: training.rows, pairs },
  }));

/** Pairs on a sheet, and in a row of it. */
const shownPairs = 32;
const pairsInRow = 4;

/** A PNG of samples, each beside its nearest training image; those that stand out most come first. */
export function pairsPng(
  { pairs }: CopyReport,
  samplesOf: (numbers: readonly number[]) => readonly Image[],
  search: CopySearch,
): Uint8Array {
  const chosen = [...pairs].sort((a, b) => a.ratio - b.ratio).slice(0, shownPairs);
  const left = samplesOf(chosen.map(({ sample }) => sample));
  const right = toUint8(search.trainingImages(chosen.map(({ training }) => training)));
  const images: Image[] = left.flatMap((image, i) => [image, right[i]!]);
  const scale = left[0]!.height < 48 ? 2 : 1;
  return encodePng(grid(images, { columns: 2 * Math.min(pairsInRow, chosen.length), scale }));
}
