import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { Model } from "../../checkpoint/model.ts";
import { counted } from "../../counted.ts";
import { gather } from "../../data/batches.ts";
import { UsageError } from "../../errors.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { digitsReference } from "../../evaluation/detectors/digits.ts";
import type { ReferenceSet } from "../../evaluation/evaluate.ts";
import { type Matrix, matrixOf } from "../../evaluation/metrics/matrix.ts";
import { statistics } from "../../evaluation/metrics/statistics.ts";
import { sizeOf } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { openDetector } from "../evaluate/sources.ts";
import { openImages } from "../terminal/images.ts";
import type { Progress } from "../terminal/progress.ts";
import type { SweepValues } from "./command.ts";

/** Where work runs, and what ends it. */
export interface Surroundings {
  readonly backend: Backend;
  readonly signal: AbortSignal;
}

/** The detector that an option names. Throws UsageError where the bundled one does not look at such pictures. */
export async function detectorFor(name: string, { imageShape, source }: Model, backend: Backend): Promise<Detector> {
  const detector = await openDetector(name, imageShape, backend);
  const expected = detector.imageShape;
  if (expected === undefined || expected.join() === imageShape.join()) return detector;
  throw new UsageError(
    `${source}: its pictures are [${imageShape.join(", ")}], but the detector ${detector.name} looks at [${expected.join(", ")}]; give another --detector`,
  );
}

/** What cells are compared with. */
export interface Reference {
  /** Says which images they are. */
  readonly name: string;
  /** Statistics of all images, and the features of some. */
  look(): Promise<ReferenceSet & { readonly features: Matrix }>;
}

/** The images that --reference names; the bundled ones without. */
export async function openReference(
  values: SweepValues,
  model: Model,
  detector: Detector,
  { backend, signal, shown }: Surroundings & { readonly shown: Progress },
): Promise<Reference> {
  const { reference: path, referenceCount, count } = values;
  if (path === undefined) {
    if (referenceCount !== undefined)
      throw new UsageError("--reference-count chooses among the images of --reference; give that too, or leave it out");
    if (values.detector !== "bundled")
      throw new UsageError(`--detector ${values.detector} has seen no real images yet; give --reference`);
    const bundled = digitsReference();
    return { name: bundled.name, look: async () => bundled };
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
