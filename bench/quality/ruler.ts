import type { Model } from "../../src/checkpoint/model.ts";
import { openDetector } from "../../src/cli/evaluate/sources.ts";
import { gather } from "../../src/data/batches.ts";
import type { Split } from "../../src/data/content.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import type { Detector, Observation } from "../../src/evaluation/detectors/detector.ts";
import { evaluate, type Report } from "../../src/evaluation/evaluate.ts";
import { collectFeatures, features } from "../../src/evaluation/features.ts";
import { matrixOf } from "../../src/evaluation/metrics/matrix.ts";
import { statistics } from "../../src/evaluation/metrics/statistics.ts";
import { toFloat32, toUint8 } from "../../src/images/planes.ts";
import type { NDArray } from "../../src/ndarray.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { dpm2m } from "../../src/samplers/solvers/dpm-2m.ts";
import { collect, sample } from "../../src/sampling/sample.ts";
import type { QualityOptions } from "./options.ts";

/** What is measured of pictures. Coverage is the recall of Kynkäänniemi et al. 2019. */
export interface Quality {
  readonly fid: number;
  readonly accuracy: number | null;
  readonly coverage: number;
  readonly precision: number;
}

/** Draws pictures of a model, and looks at them. */
export interface Ruler {
  readonly detector: string;
  /** Pictures without guidance, or at a scale of classifier-free guidance. */
  measure(model: Model, scale?: number): Promise<Quality>;
  /** The same of as many real images that were held out, where there are some: what a perfect model would get. */
  readonly floor: Quality | undefined;
}

/** Images at even places of a split. */
const spread = (split: Split, count: number): number[] =>
  Array.from({ length: Math.min(count, split.count) }, (_, i) =>
    Math.floor((i * split.count) / Math.min(count, split.count)),
  );

/** A ruler of the features of a data set's training images. */
export async function openRuler(dataset: Dataset, options: QualityOptions, backend: Backend): Promise<Ruler> {
  const { samples: count, steps } = options;
  const { train, test, classes, imageShape } = dataset;
  const detector = await openDetector(options.detector, imageShape, backend);
  const seen = await statistics(looked(detector, train), { backend });
  const near = await detector.observe(gather(train, spread(train, 2 * count)).x);
  const reference = { statistics: seen, features: matrixOf(near.features) };
  const known = classes.map((name) => detector.classes?.indexOf(name) ?? -1);
  const place = known.includes(-1) ? undefined : known;
  const look = async (x: NDArray<"float32">, labels: readonly number[]): Promise<Quality> => {
    const set = await collectFeatures(features(x, detector));
    const asked = place && classes.length > 0 ? { labels: labels.map((label) => place[label]!) } : {};
    return numbers(await evaluate(set, reference, { backend, ...asked }));
  };
  const held = test && gather(test, spread(test, count));
  return {
    detector: detector.name,
    floor: held && (await look(held.x, [...held.y.data])),
    async measure(model, scale = 1) {
      // Classes as often as in the data, which the distance compares with.
      const labels = spread(train, count).map((i) => train.labels[i]!);
      while (labels.length < count) labels.push(labels[labels.length % train.count]!);
      const seeds = labels.map((_, i) => i);
      const x = await collect(
        sample(model, {
          backend,
          seeds,
          ...(classes.length > 0 && { labels }),
          sampler: dpm2m({ steps }),
          guidance: { cfgScale: scale },
          batchSize: 50,
        }),
      );
      // As files would hold them.
      return look(toFloat32(toUint8(x)), labels);
    },
  };
}

const numbers = ({ fid, accuracy, recall, precision }: Report): Quality => ({
  fid: fid!.value,
  accuracy: accuracy?.value ?? null,
  coverage: recall!.value,
  precision: precision!.value,
});

async function* looked(detector: Detector, split: Split): AsyncGenerator<Observation> {
  for (let start = 0; start < split.count; start += 500)
    yield detector.observe(
      gather(
        split,
        Array.from({ length: Math.min(500, split.count - start) }, (_, i) => start + i),
      ).x,
    );
}
