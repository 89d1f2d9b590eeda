import { DataError } from "../../errors.ts";
import type { Detector } from "../../evaluation/detectors/detector.ts";
import { evaluate, type ReferenceSet } from "../../evaluation/evaluate.ts";
import { collectFeatures, features } from "../../evaluation/features.ts";
import { toUint8 } from "../../images/planes.ts";
import { float32, type NDArray } from "../../ndarray.ts";
import { valueOfByte } from "../../pixel-range.ts";
import type { Backend } from "../../runtime/backend.ts";
import { type Metrics, metricNames } from "./folder.ts";

export interface Ruler {
  readonly detector: Detector;
  readonly reference: ReferenceSet;
  /** The detector's class for each of the model's, or undefined where it does not know them all. */
  readonly classes: readonly number[] | undefined;
  readonly backend: Backend;
  readonly signal: AbortSignal;
}

/**
 * Everything that is measured of a cell's pictures [N, C, H, W], drawn as `labels` of the model. They are measured as files would hold
 * them: in bytes.
 */
export async function measure(
  pictures: NDArray<"float32">,
  labels: readonly number[],
  { detector, reference, classes, backend, signal }: Ruler,
): Promise<Metrics> {
  const samples = await collectFeatures(features(inBytes(pictures), detector, { signal }));
  const asked = classes && labels.map((label) => classes[label]!);
  const report = await evaluate(samples, reference, { backend, signal, ...(asked && { labels: asked }) });
  // Cells are compared by what each of them measures.
  if (report.leftOut.length > 0) throw new DataError(report.leftOut.join("; "));
  return Object.fromEntries(metricNames.map((name) => [name, report[name] ?? null])) as Metrics;
}

/** Pictures as their bytes hold them: 256 levels, from -1 to 1; what is no number stays what it is. */
function inBytes(pictures: NDArray<"float32">): NDArray<"float32"> {
  const [, channels = 1, height = 1, width = 1] = pictures.shape;
  const data = new Float32Array(pictures.data.length);
  for (const [n, image] of toUint8(pictures).entries())
    for (let at = 0; at < height * width; at++)
      for (let c = 0; c < channels; c++) {
        const to = (n * channels + c) * height * width + at;
        data[to] = Number.isNaN(pictures.data[to]) ? Number.NaN : valueOfByte(image.data[at * channels + c]!);
      }
  return float32(pictures.shape, data);
}
