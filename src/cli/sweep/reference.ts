import { createHash } from "node:crypto";
import { basename } from "node:path";
import { findDetector } from "../../checkpoint/detector-folder.ts";
import type { Model } from "../../checkpoint/model.ts";
import { counted } from "../../counted.ts";
import { gather } from "../../data/batches.ts";
import { UsageError } from "../../errors.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { checkFits } from "../../evaluation/detectors/fits.ts";
import type { DetectorWithReference } from "../../evaluation/detectors/folder-detector.ts";
import { type Matrix, matrixOf } from "../../evaluation/metrics/matrix.ts";
import { statistics } from "../../evaluation/metrics/statistics.ts";
import type { RealReference } from "../../evaluation/real.ts";
import { sizeOf } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { openRuler } from "../evaluate/sources.ts";
import { openImages } from "../terminal/images.ts";
import type { Progress } from "../terminal/progress.ts";
import type { SweepValues } from "./command.ts";

/** Where work runs, and what ends it. */
export interface Surroundings {
  readonly backend: Backend;
  readonly signal: AbortSignal;
}

/**
 * The detector that an option names; without one that which the model carries, or that of digits. Throws DataError where it was made for other
 * pictures than the model's.
 */
export async function detectorFor(
  name: string | undefined,
  { imageShape, classes, source }: Model,
  backend: Backend,
): Promise<{ readonly detector: Detector; readonly known: DetectorWithReference | undefined }> {
  const { known, open } = await openRuler(name ?? (findDetector(source) === undefined ? undefined : source), backend);
  const detector = await open(imageShape);
  checkFits(detector, { imageShape, classes }, `${source}: it draws`);
  return { detector, known };
}

/** What cells are compared with. */
export interface Reference {
  /** Says which images they are. */
  readonly name: string;
  /** Statistics of all images, and the features of some. */
  look(): Promise<RealReference & { readonly features: Matrix }>;
}

/** The images that --reference names; without, those that the detector was made from. */
export async function openReference(
  values: SweepValues,
  model: Model,
  { detector, known }: Awaited<ReturnType<typeof detectorFor>>,
  { backend, signal, shown }: Surroundings & { readonly shown: Progress },
): Promise<Reference> {
  const { reference: path, referenceCount, count } = values;
  if (path === undefined) {
    if (referenceCount !== undefined)
      throw new UsageError("--reference-count chooses among the images of --reference; give that too, or leave it out");
    if (!known) throw new UsageError(`--detector ${values.detector} has seen no real images yet; give --reference`);
    const { reference } = known;
    return { name: reference.name, look: async () => reference };
  }
  const { train } = await openImages(path, model, { labels: "none" }, { shown, signal });
  const hash = createHash("sha256").update(train.images).digest("hex").slice(0, 12);
  const step = Math.max(64, Math.floor(2 ** 22 / sizeOf(model.imageShape)));
  async function* observations() {
    for (let start = 0; start < train.count; start += step) {
      signal.throwIfAborted();
      shown.update(start, train.count, "images of the reference");
      yield detector.observe(gather(train, range(start, Math.min(step, train.count - start))).x);
    }
  }
  return {
    name: `${counted(train.count, "image")} of ${basename(path)} (${hash})`,
    async look() {
      const seen = await statistics(observations(), { backend, signal });
      shown.end();
      const most = Math.min(referenceCount ?? count, train.count);
      const chosen = range(0, most).map((i) => Math.floor((i * train.count) / most));
      const { features } = await detector.observe(gather(train, chosen).x);
      return { statistics: seen, features: matrixOf(features) };
    },
  };
}

const range = (start: number, count: number): number[] => Array.from({ length: count }, (_, i) => start + i);
