import { RuntimeFailure } from "../../errors.ts";
import { emit } from "../../onnx/emit.ts";
import { lower } from "../../onnx/lower.ts";
import { f32, trace } from "../../tensor/trace.ts";
import type { Backend } from "../backend.ts";
import { backendOf, Conversation } from "../conversation.ts";
import type { Reply } from "../programs.ts";
import type { Lost, WebSettings } from "./worker.ts";

/** Settings of `openBackend` in a browser. */
export interface WebBackendOptions {
  /** "wasm", the default, computes on the processor; "webgpu" on the graphics card. */
  readonly device?: "wasm" | "webgpu";
  /**
   * Threads within one operator; by default one per core. WebAssembly has threads only where the page is cross-origin isolated, and one
   * elsewhere: see `isolatePage`.
   */
  readonly threads?: number;
  /**
   * Folder of the engine's files, relative to the page; "onnxruntime-web/" by default. They are in node_modules/onnxruntime-web/dist: for
   * "wasm" ort.wasm.min.mjs, ort-wasm-simd-threaded.mjs and ort-wasm-simd-threaded.wasm; for "webgpu" ort.webgpu.min.mjs and
   * ort-wasm-simd-threaded.asyncify.mjs and .wasm.
   */
  readonly wasmPaths?: string | URL;
  /**
   * Address of the worker's code, of the page's own origin, where the bundler does not find `new Worker(new URL(...))` by itself: a bundle of
   * `guidestar/web/worker`.
   */
  readonly worker?: string | URL;
}

/** A backend of a browser. */
export interface WebBackend extends Backend {
  /** Threads that it has. */
  readonly threads: number;
}

/** What the engine says where there is no adapter is about its own providers. */
const explained = (device: WebSettings["device"], error: string): string =>
  device === "webgpu" && /adapter|navigator\.gpu|no available backend/i.test(error) && !/files could not/.test(error)
    ? `the engine found no graphics card that WebGPU can use in this browser; take the device "wasm" instead (${error})`
    : `the engine (${device}) failed: ${error}`;

/** What relative addresses are relative to: the page, or a worker's own file. */
const base = (): string => globalThis.document?.baseURI ?? location.href;

function startWorker(address: string | URL | undefined): Worker {
  try {
    // Bundlers look for exactly these words.
    return address === undefined
      ? new Worker(new URL("./worker.js", import.meta.url), { type: "module" })
      : new Worker(new URL(address, base()), { type: "module" });
  } catch (cause) {
    throw new RuntimeFailure(`the engine's worker could not be started: ${(cause as Error).message}`, { cause });
  }
}

function converse(worker: Worker, device: WebSettings["device"]): Conversation {
  const thread = new Conversation(
    { post: (asked) => worker.postMessage(asked), terminate: async () => worker.terminate() },
    (error) => explained(device, error),
  );
  const fail = (message: string): void => {
    thread.failed(new RuntimeFailure(message));
    worker.terminate();
  };
  worker.onmessage = ({ data }: { data: Reply | Lost }) => {
    if ("lost" in data)
      fail(
        `the graphics card was lost, and what was on it (${data.lost}); open a backend anew. Training goes on from its last checkpoint`,
      );
    else thread.answered(data);
  };
  worker.onerror = ({ message, filename }) =>
    fail(
      message
        ? `the engine's worker stopped: ${message} (${filename})`
        : "the engine's worker could not be loaded: expected its code at the address that the bundler gave it, or at `worker`",
    );
  return thread;
}

/**
 * Opens ONNX Runtime in a module worker, so that the page stays free while programs run; state of programs stays there, on the
 * graphics card where they run on it. It reports itself as "cpu", which WebAssembly computes on, or "webgpu".
 *
 * @throws RuntimeFailure where the engine's files cannot be loaded, or there is no graphics card for "webgpu"
 */
export async function openBackend({
  device = "wasm",
  threads = navigator.hardwareConcurrency,
  wasmPaths = "onnxruntime-web/",
  worker: address,
}: WebBackendOptions = {}): Promise<WebBackend> {
  const folder = new URL(wasmPaths, base()).href;
  const settings: WebSettings = {
    device,
    threads: globalThis.crossOriginIsolated ? threads : 1,
    files: folder.endsWith("/") ? folder : `${folder}/`,
  };
  const worker = startWorker(address);
  const thread = converse(worker, device);
  worker.postMessage({ settings });
  const backend: WebBackend = {
    device: device === "wasm" ? "cpu" : device,
    threads: settings.threads,
    ...backendOf(thread, async ({ bytes, externalData }, { state, inPlace }) => {
      const weights = externalData.map(({ path, data }) => ({ path, data }));
      return (await thread.ask({
        kind: "load",
        bytes,
        externalData: weights,
        state: [...state],
        inPlace,
      })) as number;
    }),
  };
  try {
    await loadNothing(backend);
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return backend;
}

/**
 * The engine loads with its first program: a program that does nothing shows that it can. It stays until the worker ends, for the engine lets
 * go of a graphics card with the last program on it.
 */
async function loadNothing(backend: Backend): Promise<void> {
  const graph = trace({ x: f32(1) }, ({ x }) => ({ y: x.neg() }));
  await backend.load(emit(lower(graph)), { state: new Map(), inPlace: new Set() });
}
