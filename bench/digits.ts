/**
 * How the bundled model `digits` reads: `npx tsx bench/digits.ts mnist.zip [samples per setting]`.
 *
 * A small convolutional network is trained on clean MNIST here, for this judgement alone (it has nothing from the guiding classifier),
 * and reads pictures drawn under several settings: the share read as the digit that was asked for, and the spread of the pictures
 * (mean variance of its 64 features within a digit, in units of the test set's).
 */

import { batchSequence, gather } from "../src/data/batches.ts";
import { openDataset } from "../src/data/dataset.ts";
import { collect, type Guidance, loadModel, sample } from "../src/index.ts";
import { float32, type NDArray } from "../src/ndarray.ts";
import { conv2d, linear, silu } from "../src/nn/layers.ts";
import { module } from "../src/nn/module.ts";
import { compile } from "../src/runtime/compile.ts";
import { openBackend } from "../src/runtime/node.ts";
import { averagePool2d, oneHot, type Tensor } from "../src/tensor/tensor.ts";
import { f32, i32, trace } from "../src/tensor/trace.ts";
import { compileTraining } from "../src/training/compile.ts";
import { trainingGraph, updateValues } from "../src/training/program.ts";
import { weightsOf } from "./networks.ts";

const [path, count = "500"] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: npx tsx bench/digits.ts mnist.zip [samples per setting]");
  process.exit(2);
}
const data = await openDataset(path);
const batch = 100;

/** x [N, 1, 28, 28] -> 64 features and 10 logits. */
const judge = module(
  { first: conv2d(1, 16, 3), second: conv2d(16, 32, 3), features: linear(32 * 49, 64), logits: linear(64, 10) },
  ({ first, second, features, logits }, x: Tensor) => {
    const h = averagePool2d(silu(second(averagePool2d(silu(first(x)), 2))), 2);
    const f = silu(features(h.reshape(h.shape[0]!, -1)));
    return { features: f, logits: logits(f) };
  },
);

await using backend = await openBackend();
const weights = weightsOf(judge);
const shapes = Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, shape]));
const zeros = Object.fromEntries(Object.entries(weights).map(([key, { shape }]) => [key, float32(shape)]));
const training = await compileTraining(
  trainingGraph(shapes, { x: f32(batch, 1, 28, 28), y: i32(batch) }, (params, { x, y }) => ({
    objective: judge(params, x).logits.logSoftmax().mul(oneHot(y, 10)).sum(1).neg(),
    metrics: {},
  })),
  backend,
  { params: weights, m: zeros, v: zeros, ema: weights },
);
const next = batchSequence(data.train, { batchSize: batch, seed: 7 });
const steps = 1800;
for (let step = 1; step <= steps; step++)
  await training.run({ batch: { ...next(step) }, update: updateValues(step, 2e-3 * (1 - step / (steps + 1))) });
const { ema } = await training.readState();

const reader = await compile(
  trace(
    {
      params: Object.fromEntries(Object.entries(shapes).map(([key, shape]) => [key, f32(...shape)])),
      x: f32(batch, 1, 28, 28),
    },
    ({ params, x }) => judge(params, x),
  ),
  backend,
  { bind: { params: ema } },
);

/** Share read as `labels` say, and mean variance of the features within a label. */
async function read(
  images: NDArray<"float32">,
  labels: ArrayLike<number>,
): Promise<{ accuracy: number; spread: number }> {
  const n = images.shape[0]!;
  const features: Float32Array[] = [];
  let right = 0;
  for (let start = 0; start < n; start += batch) {
    const result = await reader.run({
      x: float32([batch, 1, 28, 28], images.data.slice(start * 784, (start + batch) * 784)),
    });
    for (let i = 0; i < batch; i++) {
      const row = result.logits.data.subarray(i * 10, i * 10 + 10);
      if (row.indexOf(row.reduce((a, b) => Math.max(a, b))) === labels[start + i]) right++;
      features.push(result.features.data.slice(i * 64, i * 64 + 64));
    }
  }
  let spread = 0;
  for (let digit = 0; digit < 10; digit++) {
    const rows = features.filter((_, i) => labels[i] === digit);
    for (let k = 0; k < 64; k++) {
      const mean = rows.reduce((sum, row) => sum + row[k]!, 0) / rows.length;
      spread += rows.reduce((sum, row) => sum + (row[k]! - mean) ** 2, 0) / (rows.length - 1) / 640;
    }
  }
  return { accuracy: right / n, spread };
}

const test = data.test!;
const everyTest = gather(
  test,
  Array.from({ length: test.count }, (_, i) => i),
);
const reference = await read(everyTest.x, everyTest.y.data);
const line = (name: string, { accuracy, spread }: { accuracy: number; spread: number }): void =>
  console.log(
    `${name.padEnd(52)} read as asked ${(100 * accuracy).toFixed(1)}%   spread ${(spread / reference.spread).toFixed(2)}`,
  );
line("test set", reference);

const model = await loadModel("digits");
const labels = Array.from({ length: Number(count) }, (_, i) => i % 10);
const settings: readonly { readonly name: string; readonly guidance?: Guidance }[] = [
  { name: "default (classifier-free)" },
  { name: "classifier alone, on the unconditional prediction", guidance: { unconditional: true } },
  { name: "no guidance", guidance: { classifierFree: 1 } },
];
for (const { name, guidance } of settings) {
  const pictures = await collect(
    sample(model, {
      labels: labels.map(String),
      seeds: labels.map((_, i) => 1000 + i),
      backend,
      batch: 50,
      ...(guidance && { guidance }),
    }),
  );
  line(name, await read(pictures, labels));
}
