/** What the tests ask a page to do. Bundled for the browser from the sources, with the entry that a user's bundle gets. */

import type { Model } from "../../../src/checkpoint/model.ts";
import { float32 } from "../../../src/ndarray.ts";
import { collect, sample } from "../../../src/public/everywhere.ts";
import { toUint8 } from "../../../src/public/formats.ts";
import { modelFromZip, zipModel } from "../../../src/public/models.ts";
import { compile, f32, full, trace } from "../../../src/public/tensor.ts";
import { type TrainingEvent, trainDenoiser } from "../../../src/public/training.ts";
import {
  checkpointDatabase,
  checkpointDatabases,
  forgetWeights,
  isolatePage,
  loadModel,
  openBackend,
  removeCheckpoints,
  type WebBackend,
  type WebBackendOptions,
} from "../../../src/public/web.ts";
import type { SettledRun } from "../../../src/sampling/settings.ts";
import { tinyRun } from "../../training/support/tiny.ts";
import { bytesOfText, textOfBytes } from "./base64.ts";
import { lossesOf, unetRun } from "./runs.ts";
import { longestTask } from "./tasks.ts";

let backend: WebBackend | undefined;
let model: Model | undefined;

/** What a training event says, without its arrays. */
const brief = (event: TrainingEvent) => ({
  kind: event.kind,
  step: event.step,
  ...("loss" in event && { loss: event.loss }),
  ...("skipped" in event && { skipped: event.skipped?.map(({ problem }) => problem) }),
});

const inPage = {
  isolated: () => globalThis.crossOriginIsolated,

  async open(options: WebBackendOptions) {
    await backend?.[Symbol.asyncDispose]();
    backend = await openBackend({ worker: "/worker.js", ...options });
    return { threads: backend.threads, device: backend.device };
  },
  close: () => backend![Symbol.asyncDispose](),

  async load(address: string, cache = true) {
    const progress: { loaded: number; total: number | undefined }[] = [];
    model = await loadModel(address, { cache, onProgress: (now) => progress.push(now) });
    const first = Object.values(model.weights.denoiser!)[0]!.data;
    return {
      classes: model.classes,
      source: model.source,
      progress: progress.at(-1),
      first: Array.from(first.slice(0, 4)),
    };
  },
  forgetWeights,

  /** Pixels [N, C, H, W] of a run, in bytes. */
  async draw(run: SettledRun, weak = false) {
    const options = { ...run, backend: backend!, ...(weak && { weakModel: model! }) };
    return Array.from(toUint8(await collect(sample(model!, options)))).flatMap(({ data }) => Array.from(data));
  },

  async modelAsZip(storage: "float32" | "float16") {
    return textOfBytes(await zipModel(model!, { storage }));
  },
  async modelOfZip(zip: string) {
    const { weights, source: _, ...record } = await modelFromZip(bytesOfText(zip), "given.zip");
    return { record, first: Array.from(Object.values(weights.denoiser!)[0]!.data.slice(0, 4)) };
  },

  unetLosses: (steps: number) => lossesOf(unetRun(backend!, steps)),
  tinyLosses: (steps: number) => lossesOf(tinyRun(backend!, steps)),

  /** Trains the small network with checkpoints; stops after `until`, as a tab does that is closed. */
  async trainKept(name: string, steps: number, until = steps) {
    const events: ReturnType<typeof brief>[] = [];
    const options = { ...tinyRun(backend!, steps), store: checkpointDatabase(name, { keep: 2, keepOlder: 1 }) };
    for await (const event of trainDenoiser({ ...options, checkpointEvery: 2 })) {
      events.push(brief(event));
      if (until < steps && event.step === until && event.kind === "step") break;
    }
    return events;
  },
  async keptSteps(name: string) {
    return (await checkpointDatabase(name).all!()).map(({ step, path }) => ({ step, path }));
  },
  async keptFile(name: string, step: number) {
    return textOfBytes(await fileOf(name, step));
  },
  /** Changes a bit of a kept checkpoint. */
  async damage(name: string, step: number) {
    const bytes = await fileOf(name, step);
    bytes[bytes.length - 5]! ^= 1;
    await put(name, step, new Blob([bytes]));
  },
  checkpointDatabases,
  removeCheckpoints,

  /** Runs out of memory: a tensor alone of 8.5 GB, where WebAssembly can address 4. */
  async memory() {
    const graph = trace({ x: f32(1) }, ({ x }) => ({
      y: full([2 ** 30 - 2 ** 24], 2)
        .add(x)
        .exp()
        .sum(),
    }));
    await using program = await compile(graph, backend!);
    const { y } = await program.run({ x: float32([1], [1]) });
    return y.data[0];
  },

  /** Calls functions, one after the other, in a worker of the page; gives the last one's answer, and the longest task of the page meanwhile. */
  async inWorker(calls: readonly (readonly [name: string, ...args: unknown[]])[]) {
    const worker = new Worker("/inner.js", { type: "module" });
    const ask = (name: string, args: unknown[]) =>
      new Promise<unknown>((resolve, reject) => {
        worker.onmessage = ({ data }: { data: { value?: unknown; error?: string } }) =>
          data.error === undefined ? resolve(data.value) : reject(new Error(data.error));
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.postMessage([name, args]);
      });
    const done = await longestTask(async () => {
      let value: unknown;
      for (const [name, ...args] of calls) value = await ask(name, args);
      return value;
    });
    worker.terminate();
    return done;
  },

  isolatePage,
};
export type InPage = typeof inPage;

const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
async function rows(name: string, mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const database = await result(indexedDB.open(`guidestar/${name}`));
  return database.transaction("checkpoints", mode).objectStore("checkpoints");
}
async function fileOf(name: string, step: number): Promise<Uint8Array<ArrayBuffer>> {
  const row: { file: Blob } = await result((await rows(name, "readonly")).get(step));
  return new Uint8Array(await row.file.arrayBuffer());
}
async function put(name: string, step: number, file: Blob): Promise<void> {
  await result((await rows(name, "readwrite")).put({ step, file }));
}

Object.assign(globalThis, { inPage });
