/**
 * Guidestar: train, guide and sample class-conditional diffusion models.
 *
 * This is what most programs need: load, sample, train, evaluate, open data, save, pictures, errors. What those are made of is in
 * chapters: `guidestar/tensor`, `guidestar/nn`, `guidestar/models`, `guidestar/diffusion`, `guidestar/training`,
 * `guidestar/evaluation`, `guidestar/formats` and `guidestar/node`.
 *
 * ```ts
 * import { writeFile } from "node:fs/promises";
 * import { collect, ddim, encodePng, grid, loadModel, sample, toUint8 } from "guidestar";
 *
 * const model = await loadModel("digits");
 * const pictures = await collect(sample(model, { labels: ["3", "7"], seeds: [0, 1], sampler: ddim({ steps: 10 }) }));
 * console.log(pictures.shape.join(" ")); // 2 1 28 28
 * await writeFile("digits.png", encodePng(grid(toUint8(pictures))));
 * ```
 *
 * @module guidestar
 */

export * from "./public/everywhere.ts";
export {
  animationGif,
  bundledModels,
  checkpointFolder,
  type Dataset,
  decodeImage,
  digitsDetector,
  digitsReference,
  loadModel,
  openBackend,
  openDataset,
  saveModel,
} from "./public/node.ts";
