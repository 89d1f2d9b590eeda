/**
 * What browsers have: ONNX Runtime on WebAssembly or WebGPU in a worker of its own, models by their address, checkpoints in the browser's
 * database. The other chapters are the same as in Node; `guidestar` without what needs a disk.
 *
 * The engine's files must lie on the page's server: copy those that `openBackend` names from `node_modules/onnxruntime-web/dist` into a
 * folder `onnxruntime-web` beside the page, or say by `wasmPaths` where they are. Threads need a page that is cross-origin isolated: see
 * `isolatePage`.
 *
 * ```ts
 * import { collect, sample } from "guidestar";
 * import { loadModel, openBackend } from "guidestar/web";
 *
 * await using backend = await openBackend({ wasmPaths: "/onnxruntime-web/" });
 * const model = await loadModel("/models/digits/");
 * const pictures = await collect(sample(model, { backend, labels: ["3"], seeds: [7] }));
 * console.log(pictures.shape.join(" ")); // 1 1 28 28
 * ```
 *
 * That page computes where it stands: tracing and compiling take tens of milliseconds at a time. `createSampler` does all of it in a worker, and
 * `guidestar/element` is an element made of it:
 *
 * ```ts
 * import { createSampler } from "guidestar/web";
 *
 * await using sampler = await createSampler({ model: "/models/digits/" });
 * for await (const { step, steps, pictures } of sampler.draw({ labels: ["3"], seeds: [7] })) {
 *   console.log(`${step}/${steps}`, pictures[0].data.length);
 * }
 * ```
 *
 * @module guidestar/web
 */

import "../web/disposal.ts";
import "./web-engine.ts";

export { openBackend, type WebBackend, type WebBackendOptions } from "../runtime/web/backend.ts";
export type { RunTexts } from "../sampling/run-texts.ts";
export {
  type CheckpointDatabaseOptions,
  checkpointDatabase,
  checkpointDatabases,
  removeCheckpoints,
} from "../web/checkpoint-database.ts";
export { type FetchOptions, type FetchProgress, loadModel } from "../web/fetched-model.ts";
export { isolatePage } from "../web/isolate.ts";
export { forgetWeights } from "../web/kept-weights.ts";
export { type AskedRun, createSampler, type Sampler, type SamplerOptions } from "../web/sampler/sampler.ts";
export { imageDataOf } from "../web/sampler/sheet.ts";
export type { DrawingEvent, GuidanceKind, SamplerModel, WrittenRun } from "../web/sampler/work.ts";
