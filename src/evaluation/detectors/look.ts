import type { DetectorToSave } from "../../checkpoint/detector.ts";
import { asStored } from "../../checkpoint/stored-weights.ts";
import { UsageError } from "../../errors.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { type Moments, type Statistics, statistics } from "../metrics/statistics.ts";
import type { Detector, Observation } from "./detector.ts";
import { type NetworkDetectorOptions, networkDetector } from "./network-detector.ts";

/** Images, and what they are, a batch at a time. */
export interface LabelledBatch {
  /** [N, C, H, W] in [-1, 1]. */
  readonly x: NDArray<"float32">;
  /** [N], places among the detector's classes. */
  readonly y: NDArray<"int32">;
}

/** What a new detector looks at. */
export interface LookOptions extends Pick<NetworkDetectorOptions, "network" | "imageShape" | "weights"> {
  /** Images that others will be compared with, all of them, and how many they are. */
  readonly reference: { readonly batches: Iterable<LabelledBatch>; readonly count: number };
  /** Images that it was not trained on, none of them among the others. */
  readonly heldOut: { readonly batches: Iterable<LabelledBatch>; readonly count: number };
  readonly backend: NetworkDetectorOptions["backend"];
  readonly signal?: AbortSignal;
}

/** Images whose features a detector keeps, of the reference and of those that are held out. */
const kept = 2000;

/** What a detector that was just trained sees: how well it reads images that it was not trained on, and what others are compared with. */
export interface Seen extends Pick<DetectorToSave, "weights" | "statistics" | "features"> {
  readonly accuracy: { readonly value: number; readonly error: number; readonly images: number };
}

/** Looks at the images of a data set with a network that was just trained, its weights rounded as they will be stored. */
export async function lookAtData({ reference, heldOut, weights, ...options }: LookOptions): Promise<Seen> {
  const { backend, signal, network, imageShape } = options;
  const stored = asStored(weights);
  if (heldOut.count < 1) throw new UsageError("a detector is tested on at least one image, but none are held out");
  await using detector = await networkDetector({ name: "detector", imageShape, network, weights: stored, backend });
  const rows = keeper(reference.count);
  const seen = await statistics(observed(detector, reference.batches, rows.add, signal), {
    backend,
    ...(signal && { signal }),
  });
  const real = keeper(heldOut.count);
  let right = 0;
  for await (const { observation, y } of watched(detector, heldOut.batches, signal)) {
    real.add(observation);
    right += readRightly(observation, y);
  }
  const value = right / heldOut.count;
  return {
    weights: stored,
    accuracy: { value, error: Math.sqrt((value * (1 - value)) / heldOut.count), images: heldOut.count },
    statistics: { ...arraysOf(seen, ""), ...(seen.spatial && arraysOf(seen.spatial, "_s")) },
    features: { features: rows.rows("features"), real: real.rows("features"), real_s: real.rows("spatial") },
  };
}

async function* watched(detector: Detector, batches: Iterable<LabelledBatch>, signal: AbortSignal | undefined) {
  for (const { x, y } of batches) {
    signal?.throwIfAborted();
    yield { observation: await detector.observe(x), y };
  }
}

async function* observed(
  detector: Detector,
  batches: Iterable<LabelledBatch>,
  see: (observation: Observation) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Observation> {
  for await (const { observation } of watched(detector, batches, signal)) {
    see(observation);
    yield observation;
  }
}

const arraysOf = ({ mean, covariance }: Moments | Statistics, ending: string) => ({
  [`mu${ending}`]: float32([mean.length], mean),
  [`sigma${ending}`]: float32([mean.length, mean.length], covariance),
});

/** Keeps rows of observations, spread evenly over so many images. */
function keeper(count: number) {
  const most = Math.min(kept, count);
  const wanted = new Set(Array.from({ length: most }, (_, i) => Math.floor((i * count) / most)));
  const found: Record<"features" | "spatial", Float32Array[]> = { features: [], spatial: [] };
  let at = 0;
  return {
    add(observation: Observation): void {
      const rows = observation.features.shape[0]!;
      for (let i = 0; i < rows; i++, at++) {
        if (!wanted.has(at)) continue;
        for (const key of ["features", "spatial"] as const) {
          const array = observation[key];
          const width = array ? array.data.length / rows : 0;
          if (array) found[key].push(array.data.slice(i * width, (i + 1) * width));
        }
      }
    },
    rows(key: keyof typeof found): NDArray<"float32"> {
      const width = found[key][0]?.length ?? 0;
      const data = new Float32Array(found[key].length * width);
      for (const [i, row] of found[key].entries()) data.set(row, i * width);
      return float32([found[key].length, width], data);
    },
  };
}

/** How many images of a batch have their class as the likeliest; what is as likely as another class is not read. */
function readRightly({ probabilities }: Observation, { data: labels }: NDArray<"int32">): number {
  const [rows = 0, classes = 0] = probabilities?.shape ?? [];
  let right = 0;
  for (let i = 0; i < rows; i++) {
    const row = probabilities!.data.subarray(i * classes, (i + 1) * classes);
    if (row.every((p, k) => k === labels[i] || p < row[labels[i]!]!)) right++;
  }
  return right;
}
