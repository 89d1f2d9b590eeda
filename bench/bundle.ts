/**
 * Puts a model together that comes with the package, from folders that the command line trained:
 * `npx tsx bench/bundle.ts models/tiles --denoiser runs/tiles --classifier runs/tiles-classifier --detector runs/tiles-detector --sampling
 * '{ "cfgScale": 2 }'`. Weights are stored as float16. Parts that are not given stay as they are in the folder.
 */

import { copyFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadModel, saveModel } from "../src/checkpoint/model-folder.ts";
import type { SamplingDefaults } from "../src/checkpoint/schema.ts";

const text = { type: "string" } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { denoiser: text, classifier: text, detector: text, sampling: text },
});
const [out] = positionals;
if (out === undefined || Object.keys(values).length === 0) {
  console.error(
    "usage: npx tsx bench/bundle.ts OUT [--denoiser DIR] [--classifier DIR] [--detector DIR] [--sampling JSON]",
  );
  process.exit(2);
}
const sampling = values.sampling === undefined ? undefined : (JSON.parse(values.sampling) as SamplingDefaults);

for (const role of ["denoiser", "classifier"] as const) {
  const from = values[role];
  if (from === undefined) continue;
  const { classes, imageShape, preprocessing, weights, [role]: record } = await loadModel(from);
  if (!record) throw new Error(`${from} has no ${role}`);
  const { file: _, sha256: __, parameters: ___, ...described } = record;
  const network = { [role]: { record: described, weights: weights[role]! } };
  await saveModel(out, { classes, imageShape, preprocessing, ...network }, { storage: "float16" });
}
if (sampling) {
  const { classes, imageShape, preprocessing } = await loadModel(out);
  await saveModel(out, { classes, imageShape, preprocessing, sampling });
}
if (values.detector !== undefined)
  for (const name of await readdir(values.detector))
    if (/^detector.*\.(json|safetensors)$/.test(name)) await copyFile(join(values.detector, name), join(out, name));

let total = 0;
for (const name of (await readdir(out)).sort()) {
  const { size } = await stat(join(out, name));
  total += size;
  console.log(`${size.toString().padStart(10)}  ${name}`);
}
console.log(`${total.toString().padStart(10)}  in all`);
