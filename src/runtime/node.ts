import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { RuntimeFailure } from "../errors.ts";
import type { Backend, BackendOptions, Device, LoadedModel } from "./backend.ts";
import { openProgramCache } from "./program-cache.ts";
import { weightsOnDisk } from "./weights-on-disk.ts";
import type { Named, Request, Settings } from "./worker.ts";

/** Tests run the TypeScript sources; Node 20 does not load those in a thread by itself. */
function startFromSource(workerData: Settings): Worker {
  const tsx = import.meta.resolve("tsx/esm/api");
  const source = new URL("./worker.ts", import.meta.url).href;
  const code = `import("${tsx}").then(({ register }) => { register(); return import("${source}"); });`;
  return new Worker(code, { workerData, eval: true });
}

/** What the engine says where there is no card is three lines of its own source. */
const explained = (device: Device, error: string): string =>
  device === "webgpu" && error.includes("adapter")
    ? `the engine found no graphics card that WebGPU can use (on Linux it needs the card's Vulkan driver and libvulkan.so.1); take the device "cpu" instead`
    : `the engine (${device}) failed: ${error}`;

type Reply = { readonly id: number; readonly result?: number | Named; readonly error?: string };

/** Starts the engine's thread. */
function startThread(workerData: Settings): Worker {
  // A program given as text (`node --input-type=module -e ...`) says of what type it is; the thread's is a file. Other flags stay as
  // they are: where they are passed on by name, Node refuses those of V8 (--expose-gc).
  const ofText = process.execArgv.some((argument) => argument.startsWith("--input-type"));
  return import.meta.url.endsWith(".ts")
    ? startFromSource(workerData)
    : new Worker(new URL("./worker.js", import.meta.url), { workerData, ...(ofText && { execArgv: [] }) });
}

/** Requests to a thread, and its answers, which come in order. The thread keeps the process alive while one is awaited. */
class Conversation {
  readonly #worker: Worker;
  readonly #pending = new Map<number, { resolve(result: Reply["result"]): void; reject(error: Error): void }>();
  #failure: Error | undefined;
  #count = 0;

  constructor(worker: Worker, device: Device) {
    this.#worker = worker;
    worker.unref();
    worker.on("message", ({ id, result, error }: Reply) => {
      const waiting = this.#pending.get(id);
      this.#pending.delete(id);
      if (this.#pending.size === 0) worker.unref();
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new RuntimeFailure(explained(device, error)));
    });
    worker.on("error", (error) =>
      this.#fail(new RuntimeFailure(`the engine's thread stopped: ${error.message}`, { cause: error })),
    );
    worker.on("exit", () => this.#fail(new RuntimeFailure("the engine is closed")));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#worker.unref();
  }

  get ended(): boolean {
    return this.#failure !== undefined;
  }

  ask(request: Request): Promise<Reply["result"]> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#worker.postMessage({ id: this.#count, request }); // throws where a value is none that can be sent
      this.#worker.ref();
      this.#pending.set(this.#count++, { resolve, reject });
    });
  }

  /** Ending a thread while it loads the engine or runs a program would abort the process: a last request is answered before. */
  async end(): Promise<void> {
    if (this.#failure) return;
    const last = this.ask({ kind: "read", model: -1, names: [] }).catch(() => undefined);
    this.#failure = new RuntimeFailure("the engine is closed");
    await last;
    await this.#worker.terminate();
  }
}

/**
 * Opens ONNX Runtime in a worker thread of this process, so that the event loop stays free while programs run. The thread
 * does not keep the process alive. It starts by itself: where the engine or the device cannot be had, loading the first program says so,
 * by a RuntimeFailure.
 */
export async function openBackend({
  device = "cpu",
  threads = availableParallelism(),
  programs: keep,
}: BackendOptions = {}): Promise<Backend> {
  // Nothing that a user does is reported to the engine's maker. Read when the engine is first loaded, from the process's own environment.
  process.env.ORT_DISABLE_TELEMETRY ??= "1";
  const workerData: Settings = { device, threads };
  // A model that was made for a graphics card holds operators that cannot be read again.
  const programs = device === "cpu" && keep !== "none" ? openProgramCache(workerData, keep) : undefined;
  const thread = new Conversation(startThread(workerData), device);
  return {
    device,
    ...(programs && { programs }),
    async load(onnx, { state, ...options }): Promise<LoadedModel> {
      const onDisk = await weightsOnDisk(onnx);
      const request = {
        kind: "load",
        bytes: onnx.bytes,
        externalData: onDisk ? [] : onnx.externalData.map(({ path, data }) => ({ path, data })),
        state: [...state],
        ...options,
        ...(onDisk && { folder: onDisk.folder }),
      } as const;
      const model = (await thread.ask(request).finally(() => onDisk?.done())) as number;
      return {
        run: async (inputs, outputs) =>
          new Map((await thread.ask({ kind: "run", model, inputs: [...inputs], outputs })) as Named),
        readState: async (names) => new Map((await thread.ask({ kind: "read", model, names })) as Named),
        [Symbol.asyncDispose]: async () => {
          if (!thread.ended) await thread.ask({ kind: "release", model });
        },
      };
    },
    [Symbol.asyncDispose]: () => thread.end(),
  };
}
