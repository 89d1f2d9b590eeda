/**
 * Trains the feature network of digits: `npx tsx bench/digit-features.ts mnist.zip models/digits/features.safetensors [updates]`.
 *
 * On clean images, each shifted by up to two pixels; the file's metadata says how it came about and how well it reads the test set.
 */

import type { Weights } from "../src/checkpoint/model.ts";
import { batchSequence, gather } from "../src/data/batches.ts";
import { openDataset } from "../src/data/dataset.ts";
import { networkDetector } from "../src/evaluation/detectors/network-detector.ts";
import { writeAtomically } from "../src/files/atomic.ts";
import { readSafetensors, writeSafetensors } from "../src/formats/safetensors.ts";
import { digitFeatures } from "../src/models/digit-features.ts";
import type { NDArray } from "../src/ndarray.ts";
import { initialize } from "../src/nn/initialize.ts";
import { countParameters } from "../src/nn/module.ts";
import { openBackend } from "../src/runtime/node.ts";
import { oneHot } from "../src/tensor/functions.ts";
import type { Task } from "../src/training/task.ts";
import { train } from "../src/training/train.ts";

const [path, out, updates = "3000"] = process.argv.slice(2);
if (path === undefined || out === undefined) {
  console.error("usage: npx tsx bench/digit-features.ts mnist.zip features.safetensors [updates]");
  process.exit(2);
}
const seed = 2024;
const batchSize = 100;
const steps = Number(updates);
const options = { learningRate: 2e-3, decay: "cosine", weightDecay: 0.02, maxGradientNorm: 1 } as const;

const data = await openDataset(path);
const next = batchSequence(data.train, { batchSize, seed, crop: 2 });
const task: Task<{ x: NDArray<"float32">; y: NDArray<"int32"> }> = {
  weights: initialize(digitFeatures, seed),
  batchAt: (step) => ({ ...next(step) }),
  loss: (params, { x, y }) => ({
    objective: digitFeatures(params, x).logits.logSoftmax().mul(oneHot(y, 10)).sum(1).neg(),
  }),
};

await using backend = await openBackend();
const began = performance.now();
let trained: Weights = {};
for await (const event of train(task, { ...options, backend, steps, emaRate: 0.999 })) {
  if (event.kind === "done") trained = event.averaged;
  if (event.kind === "step" && event.step % 100 === 0)
    console.error(`${event.step}/${steps} loss ${event.loss.toFixed(4)} ${Math.round(event.imagesPerSecond)} images/s`);
}

const detector = await networkDetector({
  name: "digits",
  imageShape: [1, 28, 28],
  network: digitFeatures,
  weights: readSafetensors(writeSafetensors(trained, { dtype: "float16" })).tensors,
  backend,
});
const test = data.test!;
const { x, y } = gather(test, Array.from(test.labels.keys()));
const probabilities = (await detector.observe(x)).probabilities!.data;
const right = y.data.filter((label, i) => {
  const row = probabilities.subarray(i * 10, i * 10 + 10);
  return row.indexOf(row.reduce((a, b) => Math.max(a, b))) === label;
}).length;
const record = {
  classes: data.classes.join(),
  training: JSON.stringify({
    data: "mnist.zip",
    images: data.train.count,
    steps,
    batch: batchSize,
    seed,
    crop: 2,
    ...options,
  }),
  testAccuracy: String(right / test.count),
  parameters: String(countParameters(digitFeatures)),
  command: `npx tsx bench/digit-features.ts mnist.zip models/digits/features.safetensors ${steps}`,
};
await writeAtomically(out, writeSafetensors(trained, { dtype: "float16", metadata: record }));
console.log(JSON.stringify({ ...record, seconds: (performance.now() - began) / 1000 }));
