import type { Model } from "../checkpoint/model.ts";
import type { ClassifierRecord } from "../checkpoint/schema.ts";
import { coefficients, type NoiseSchedule, noiseSchedule } from "../diffusion/noise-schedule.ts";
import { networkInput, qSample } from "../diffusion/process.ts";
import { ModelError, UsageError } from "../errors.ts";
import { classifierNetwork, classifierSignature } from "../models/families.ts";
import type { NDArray } from "../ndarray.ts";
import { parameterSpecs } from "../nn/module.ts";
import { normals } from "../random.ts";
import type { Backend } from "../runtime/backend.ts";
import { batchesOf, evenSize, makeRows } from "../runtime/batches.ts";
import { compile } from "../runtime/compile.ts";
import { oneHot } from "../tensor/functions.ts";
import { readRight } from "../tensor/read-right.ts";
import { f32, i32, trace } from "../tensor/trace.ts";
import { chartSvg } from "./chart/draw.ts";

/** Images with labels, to measure a noisy classifier with. */
export interface LabelledImages {
  readonly count: number;
  /** Images [N, C, H, W] in [-1, 1] at these positions 0 ... count - 1, and their labels [N]. */
  readonly take: (positions: readonly number[]) => { readonly x: NDArray<"float32">; readonly y: NDArray<"int32"> };
}

export interface AccuracyOptions {
  /** How many timesteps, spread evenly from the least noisy to the noisiest; of a shorter chain, all. Default 21. */
  readonly timesteps?: number;
  /** Most images at a time; default 50. */
  readonly batchSize?: number;
  /** Seed of the noise; default 0. */
  readonly seed?: number;
  readonly backend: Backend;
  /** Ends the work before the next run of the program: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How well a noisy classifier reads images at one timestep. */
export interface TimestepAccuracy {
  readonly timestep: number;
  readonly images: number;
  /** Share of the images whose class is the likeliest. */
  readonly accuracy: number;
  /** Of the accuracy, from so many images: sqrt(p (1 - p) / n). */
  readonly standardError: number;
  /** Mean of -log p(y | x_t), in nats. */
  readonly crossEntropy: number;
}

/**
 * Accuracy of a noisy classifier p(y | x_t) by timestep, the least noisy first: every image is noised once for each timestep.
 *
 * @throws UsageError without images, or for a label that the classifier lacks; ModelError where the model has no classifier
 */
export async function* accuracyByTimestep(
  { classifier, weights, imageShape, source }: Model,
  images: LabelledImages,
  { timesteps: wanted = 21, batchSize = 50, seed = 0, backend, signal }: AccuracyOptions,
): AsyncGenerator<TimestepAccuracy, void, undefined> {
  if (!classifier || !weights.classifier)
    throw new ModelError(`${source}: the model has no classifier; \`guidestar train classifier\` adds one`);
  if (images.count < 1)
    throw new UsageError("the accuracy of a classifier needs at least one image but there are none");
  const { classes } = classifierSignature(classifier);
  const chain = noiseSchedule({ ...classifier.process, prediction: "x0", variance: "fixed-small" });
  const size = evenSize(images.count, batchSize);
  const graph = accuracyGraph({ classifier, imageShape }, chain, size);
  await using program = await compile(graph, backend, { bind: { classifier: weights.classifier } });

  for (const index of spread(chain.timesteps.length, wanted)) {
    let right = 0;
    let crossEntropy = 0;
    for (const { indices, count } of batchesOf(images.count, size)) {
      signal?.throwIfAborted();
      const { x, y } = images.take(indices);
      const bad = y.data.find((label) => label < 0 || label >= classes);
      if (bad !== undefined)
        throw new UsageError(`labels must be from 0 to ${classes - 1}, as ${source} has them, but one is ${bad}`);
      const stream = (position: number): number => position * chain.timesteps.length + index;
      const noise = makeRows(indices, imageShape, (position, pixels) => normals(seed, stream(position), pixels));
      const { timestep, alpha, sigma } = coefficients(chain, new Array<number>(size).fill(index));
      const result = await program.run({ x0: x, noise, timestep, alpha, sigma, y });
      for (let i = 0; i < count; i++) {
        right += result.right.data[i]!;
        crossEntropy += result.crossEntropy.data[i]!;
      }
    }
    const accuracy = right / images.count;
    yield {
      timestep: chain.timesteps[index]!,
      images: images.count,
      accuracy,
      standardError: Math.sqrt((accuracy * (1 - accuracy)) / images.count),
      crossEntropy: crossEntropy / images.count,
    };
  }
}

/** Noised images [N, C, H, W] and labels to numbers [N]: 1 where the likeliest class is right, and -log p(y | x_t). */
function accuracyGraph(
  { classifier, imageShape }: { readonly classifier: ClassifierRecord } & Pick<Model, "imageShape">,
  chain: NoiseSchedule,
  size: number,
) {
  const { classes } = classifierSignature(classifier);
  const network = classifierNetwork(classifier);
  const images = f32(size, ...imageShape);
  const perImage = f32(size);
  return trace(
    {
      x0: images,
      noise: images,
      timestep: perImage,
      alpha: perImage,
      sigma: perImage,
      y: i32(size),
      classifier: parameterSpecs(network),
    },
    ({ x0, noise, timestep, alpha, sigma, y, classifier }) => {
      const x = networkInput(qSample(x0, noise, { alpha, sigma }), timestep, chain.config);
      const logits = network(classifier, x, timestep);
      const own = oneHot(y, classes); // [N, classes]
      return { right: readRight(logits, y), crossEntropy: logits.logSoftmax().mul(own).sum(1).neg() };
    },
  );
}

/** `count` of the indices 0 ... length - 1, evenly, with both ends. */
function spread(length: number, count: number): number[] {
  const n = Math.min(length, Math.max(count, 2));
  return n === 1 ? [0] : Array.from({ length: n }, (_, i) => Math.round((i * (length - 1)) / (n - 1)));
}

/** `timestep,images,accuracy,standard_error,cross_entropy` and a line for each timestep. */
export const accuracyCsv = (rows: readonly TimestepAccuracy[]): string =>
  [
    "timestep,images,accuracy,standard_error,cross_entropy",
    ...rows.map(({ timestep, images, accuracy, standardError, crossEntropy }) =>
      [timestep, images, accuracy, standardError, crossEntropy].join(),
    ),
    "",
  ].join("\n");

/** The same for a terminal, with bars. */
export const accuracyTable = (rows: readonly TimestepAccuracy[], classes: number): string =>
  [
    `timestep  accuracy  of ${rows[0]?.images ?? 0} images; guessing gives ${(100 / classes).toFixed(1)}%`,
    ...rows.map(
      ({ timestep, accuracy }) =>
        `${String(timestep).padStart(8)}  ${`${(100 * accuracy).toFixed(1)}%`.padStart(8)}  ${"█".repeat(Math.round(30 * accuracy))}`,
    ),
    "",
  ].join("\n");

/** The same as a picture, an SVG document: accuracy above, cross-entropy below, and what guessing would give. */
export function accuracyPlot(
  rows: readonly TimestepAccuracy[],
  { title, classes }: { title: string; classes: number },
): string {
  const line = (
    label: string,
    color: string,
    value: (row: TimestepAccuracy) => number,
    error: (row: TimestepAccuracy) => number = () => 0,
  ) => ({
    label,
    color,
    points: rows.map((row) => [row.timestep, value(row)] as const),
    errors: rows.map((row) => [0, error(row)] as const),
  });
  return chartSvg({
    title,
    subtitle: `${rows[0]?.images ?? 0} images, each noised once for each timestep`,
    xLabel: "timestep",
    panels: [
      {
        label: "accuracy",
        scale: "linear",
        lines: [
          line("guessing", "#9aa5b1", () => 1 / classes),
          line(
            "classifier",
            "#2563a8",
            ({ accuracy }) => accuracy,
            ({ standardError }) => standardError,
          ),
        ],
      },
      {
        label: "cross-entropy in nats",
        lines: [
          line("guessing", "#9aa5b1", () => Math.log(classes)),
          line("classifier", "#2563a8", ({ crossEntropy }) => crossEntropy),
        ],
      },
    ],
  });
}
