/**
 * Runs inside a module worker of a page, on onnxruntime-web. Its code comes from an address, not by an import, so that this file needs
 * no bundler: a worker knows no import maps.
 */
import type * as Ort from "onnxruntime-web";
import type { NDArray } from "../../ndarray.ts";
import { outputName } from "../../onnx/writer.ts";
import { type Asked, answering, type LoadRequest, messageOf, type Platform, type State } from "../programs.ts";

export interface WebSettings {
  readonly device: "wasm" | "webgpu";
  readonly threads: number;
  /** Folder of the engine's files, an absolute address that ends with "/". */
  readonly files: string;
}

/** What the worker says unasked: the graphics card is gone, with all that was on it. */
export interface Lost {
  readonly lost: string;
}

/** The engine's own module for each device; it loads the others, `ort-wasm-simd-threaded*`, from beside it. */
const entries = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };

/** Of a worker's global scope, what is used here: the compiler knows that of a page. */
const scope = globalThis as unknown as {
  onmessage: (event: { readonly data: { readonly settings: WebSettings } | Asked }) => void;
  postMessage(message: unknown): void;
};

async function loadEngine({ device, threads, files }: WebSettings): Promise<typeof Ort> {
  const address = new URL(entries[device], files).href;
  // Left as it is by bundlers: the file is there when the page runs.
  const load = (): Promise<typeof Ort> => import(/* webpackIgnore: true */ /* @vite-ignore */ address);
  const ort = await load().catch((cause) => {
    throw new Error(
      `its files could not be loaded (${address}: ${messageOf(cause)}); copy those of onnxruntime-web/dist there, or say by wasmPaths where they are`,
    );
  });
  ort.env.wasm.wasmPaths = files;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return ort;
}

/** Tells the page, once, when the card that a session was opened on is lost. */
function watchCard(ort: typeof Ort): void {
  const card = ort.env.webgpu.device as unknown as
    | { readonly lost: Promise<{ readonly message: string; readonly reason: string }> }
    | undefined;
  void card?.lost.then(({ message, reason }) => scope.postMessage({ lost: message || reason } satisfies Lost));
}

function platformOf(ort: typeof Ort, { device }: WebSettings): Platform {
  const tensor = ({ dtype, shape, data }: NDArray): Ort.Tensor =>
    new ort.Tensor(dtype, data as Float32Array, shape as number[]);
  let watched = false;

  async function open({ bytes, externalData, state }: LoadRequest): Promise<Ort.InferenceSession> {
    const onCard = device === "webgpu" && state.length > 0;
    const session = await ort.InferenceSession.create(bytes, {
      executionProviders: [device],
      externalData,
      // A training step's tensors of many sizes would break up an arena, whose memory a page cannot give back.
      enableMemPattern: false,
      enableCpuMemArena: state.length === 0,
      logSeverityLevel: 3,
      extra: { session: { set_denormal_as_zero: "1" } },
      ...(onCard && {
        preferredOutputLocation: Object.fromEntries(state.map(([name]) => [outputName(name), "gpu-buffer"])),
      }),
    });
    if (device === "webgpu" && !watched) {
      watched = true;
      watchCard(ort);
    }
    return session;
  }

  /** State that each run makes anew, in this worker's memory or on the card; the engine writes to no memory that it is given. */
  function stateOf({ state }: LoadRequest): State {
    let current = new Map<string, Ort.Tensor>(state.map(([name, value]) => [name, tensor(value)]));
    const next = new Map(state.map(([name]) => [name, null]));
    return {
      get current() {
        return current;
      },
      next,
      advance(written) {
        const before = current;
        current = new Map([...next.keys()].map((name) => [name, written(name) as Ort.Tensor]));
        for (const value of before.values()) value.dispose();
      },
    };
  }
  return { tensor, open, stateOf, explain };
}

/** C++ exceptions come as bare numbers, and those that are not caught are failed allocations; SafeInt finds sizes beyond all of memory. */
const outOfMemory =
  /bad_alloc|out of memory|OOM|failed to allocate|allocation fail|could not allocate|memory access out of bounds|SafeInt/i;

function explain(error: unknown): string {
  const message = typeof error === "number" ? "" : messageOf(error);
  return typeof error === "number" || outOfMemory.test(message)
    ? `memory ran out${message && ` (${message})`}; take smaller batches, or a smaller network`
    : message;
}

let answer: Promise<(asked: Asked) => void> | undefined;
scope.onmessage = ({ data }) => {
  if ("settings" in data) {
    const { settings } = data;
    answer = loadEngine(settings).then((ort) =>
      answering(platformOf(ort, settings), (reply) => scope.postMessage(reply)),
    );
    answer.catch(() => undefined);
  } else
    answer!.then(
      (ask) => ask(data),
      (error) => scope.postMessage({ id: data.id, error: messageOf(error) }),
    );
};
