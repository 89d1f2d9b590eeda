import { ShapeError } from "../../errors.ts";
import { float32 } from "../../ndarray.ts";
import type { Backend } from "../../runtime/backend.ts";
import { runInBatches } from "../../runtime/batches.ts";
import { compile } from "../../runtime/compile.ts";
import { show } from "../../tensor/shape.ts";
import { constant } from "../../tensor/tensor.ts";
import { f32, trace } from "../../tensor/trace.ts";
import type { Detector } from "./detector.ts";

/** Longest side of the pictures whose pixels are compared: small shifts and noise then matter less, and a data set fits into memory. */
const longest = 16;

/** Weights [to, from] of means over `to` equal parts of `from` pixels; a pixel that lies across a border counts for both in part. */
function means(from: number, to: number): Float32Array {
  const weights = new Float32Array(to * from);
  const part = from / to;
  for (let i = 0; i < to; i++)
    for (let j = Math.floor(i * part); j < Math.min(from, Math.ceil((i + 1) * part)); j++)
      weights[i * from + j] = (Math.min(j + 1, (i + 1) * part) - Math.max(j, i * part)) / part;
  return weights;
}

/**
 * Pixels themselves as features, for want of a network that knows such images: pictures are made smaller by means, to sides of at most 16.
 * A distance of features is the root of the mean squared difference of pixel values, 0 ... 2.
 */
export async function pixelDetector({
  imageShape,
  backend,
  batchSize = 64,
}: {
  /** [C, H, W] of the images that will come. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
  /** Where it runs. */
  readonly backend: Backend;
  /** Most images at a time. Default 64. */
  readonly batchSize?: number;
}): Promise<Detector> {
  const [channels, height, width] = imageShape;
  const shrink = Math.max(1, height / longest, width / longest);
  const [h, w] = [Math.max(1, Math.round(height / shrink)), Math.max(1, Math.round(width / shrink))];
  const columns = channels * h * w;
  const graph = trace({ x: f32(batchSize, ...imageShape) }, ({ x }) => {
    const wide = w === width ? x : x.matmul(constant(float32([w, width], means(width, w))).transpose());
    const small = h === height ? wide : constant(float32([h, height], means(height, h))).matmul(wide);
    return { features: small.reshape(batchSize, columns).mul(columns ** -0.5) };
  });
  const program = await compile(graph, backend);
  return {
    name: "pixels",
    width: columns,
    imageShape,
    async observe(images) {
      if (show(images.shape.slice(1)) !== show(imageShape))
        throw new ShapeError(`expected images [N, ${imageShape.join(", ")}] but ${show(images.shape)} came`);
      return runInBatches(images, batchSize, (x) => program.run({ x }));
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
