import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { RuntimeFailure } from "../errors.ts";
import type { Backend, BackendOptions, Device } from "./backend.ts";
import { backendOf, Conversation, closed } from "./conversation.ts";
import { openProgramCache } from "./program-cache.ts";
import type { Reply } from "./programs.ts";
import { weightsOnDisk } from "./weights-on-disk.ts";
import type { Settings } from "./worker.ts";

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

/** Starts the engine's thread. */
function startThread(workerData: Settings): Worker {
  // A program given as text (`node --input-type=module -e ...`) says of what type it is; the thread's is a file. Other flags stay as
  // they are: where they are passed on by name, Node refuses those of V8 (--expose-gc).
  const ofText = process.execArgv.some((argument) => argument.startsWith("--input-type"));
  return import.meta.url.endsWith(".ts")
    ? startFromSource(workerData)
    : new Worker(new URL("./worker.js", import.meta.url), { workerData, ...(ofText && { execArgv: [] }) });
}

/** A conversation with a thread that keeps the process alive while an answer is awaited. */
function converse(worker: Worker, device: Device): Conversation {
  const thread = new Conversation(
    {
      post: (asked) => worker.postMessage(asked),
      terminate: () => worker.terminate(),
      hold: (isAwaited) => (isAwaited ? worker.ref() : worker.unref()),
    },
    (error) => explained(device, error),
  );
  worker.unref();
  worker.on("message", (reply: Reply) => thread.answered(reply));
  worker.on("error", (error) =>
    thread.failed(new RuntimeFailure(`the engine's thread stopped: ${error.message}`, { cause: error })),
  );
  worker.on("exit", () => thread.failed(closed()));
  return thread;
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
  const thread = converse(startThread(workerData), device);
  return {
    device,
    ...(programs && { programs }),
    ...backendOf(thread, async (onnx, { state, ...options }) => {
      const onDisk = await weightsOnDisk(onnx);
      const request = {
        kind: "load",
        bytes: onnx.bytes,
        externalData: onDisk ? [] : onnx.externalData.map(({ path, data }) => ({ path, data })),
        state: [...state],
        ...options,
        ...(onDisk && { folder: onDisk.folder }),
      } as const;
      return (await thread.ask(request).finally(() => onDisk?.done())) as number;
    }),
  };
}
