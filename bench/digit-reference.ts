/**
 * What the bundled detector sees in the MNIST training set, for comparisons without the data:
 * `npx tsx bench/digit-reference.ts mnist.zip models/digits`. Writes reference-statistics.safetensors (of all training images, float32)
 * and reference-features.safetensors (of 2000 of them, spread evenly, and of 2000 test images, plain and spatial: float16).
 */

import { join } from "node:path";
import { gather } from "../src/data/batches.ts";
import { openDataset } from "../src/data/dataset.ts";
import type { Observation } from "../src/evaluation/detectors/detector.ts";
import { digitsDetector } from "../src/evaluation/detectors/digits.ts";
import { type Moments, statistics } from "../src/evaluation/metrics/statistics.ts";
import { writeAtomically } from "../src/files/atomic.ts";
import { writeSafetensors } from "../src/formats/safetensors.ts";
import { float32 } from "../src/ndarray.ts";
import { openBackend } from "../src/runtime/node.ts";

const [path, folder] = process.argv.slice(2);
if (path === undefined || folder === undefined) {
  console.error("usage: npx tsx bench/digit-reference.ts mnist.zip models/digits");
  process.exit(2);
}
const { train, test } = await openDataset(path);
await using backend = await openBackend();
const detector = await digitsDetector(backend);
const evenly = (count: number): number[] => Array.from({ length: 2000 }, (_, i) => Math.floor((i * count) / 2000));

async function* observations(): AsyncGenerator<Observation> {
  for (let start = 0; start < train.count; start += 1000)
    yield detector.observe(
      gather(
        train,
        Array.from({ length: Math.min(1000, train.count - start) }, (_, i) => start + i),
      ).x,
    );
}
const { spatial, ...plain } = await statistics(observations(), { backend });
const { features } = await detector.observe(gather(train, evenly(train.count)).x);
const real = await detector.observe(gather(test!, evenly(test!.count)).x);
const command = "npx tsx bench/digit-reference.ts mnist.zip models/digits";
const tensorsOf = ({ mean, covariance }: Moments, ending: string) => ({
  [`mu${ending}`]: float32([mean.length], mean),
  [`sigma${ending}`]: float32([mean.length, mean.length], covariance),
});
await writeAtomically(
  join(folder, "reference-statistics.safetensors"),
  writeSafetensors(
    { ...tensorsOf(plain, ""), ...tensorsOf(spatial!, "_s") },
    { metadata: { command, images: String(train.count) } },
  ),
);
await writeAtomically(
  join(folder, "reference-features.safetensors"),
  writeSafetensors(
    { features, real: real.features, real_s: real.spatial! },
    { dtype: "float16", metadata: { command, images: String(features.shape[0]) } },
  ),
);
