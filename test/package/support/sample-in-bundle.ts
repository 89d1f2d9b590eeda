/** Samples with a bundle that was made for browsers, and an engine from outside it; prints the picture's numbers as JSON. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ownEngine } from "./own-engine.ts";

const [bundle, folder] = process.argv.slice(2) as [string, string];
const { collect, ddim, modelFromFiles, sample } = (await import(bundle)) as typeof import("../../../src/index.ts");

const files: Record<string, Uint8Array<ArrayBuffer>> = {};
for (const name of ["model.json", "denoiser.safetensors", "classifier.safetensors"])
  files[name] = new Uint8Array(await readFile(join(folder, name)));
const model = await modelFromFiles(files, folder);
const { data } = await collect(
  sample(model, { backend: ownEngine, labels: [1], seeds: [7], sampler: ddim({ steps: 4 }) }),
);
console.log(JSON.stringify(Array.from(data)));
